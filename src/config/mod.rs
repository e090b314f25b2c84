//! Options and properties of one connection, by the names that callers use.

mod binding;
mod connection;
mod limits;
mod names;
mod table;
#[cfg(test)]
mod tests;

pub use binding::{BindingPolicy, ChannelBinding};
pub use connection::Config;
pub use limits::{
    BINDINGS_LIMIT, DEFAULT_MAX_BUF, FRAME_LIMIT, ITERATIONS_LIMIT, MAX_ITERATIONS, MIN_ITERATIONS, VALUE_LIMIT,
};
pub use names::{nearest, Closeness};
pub use table::OPTIONS;
