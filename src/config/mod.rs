//! Options and properties of one connection, by the names that callers use.
//!
//! ```
//! use authen_sasl_rust::config::Config;
//!
//! let mut config = Config::default();
//! config.set("minssf", Some("56"))?;
//! config.set("secflags", Some("noanonymous noplaintext"))?;
//! assert_eq!((config.min_ssf, config.get("minssf").as_deref()), (56, Some("56")));
//!
//! let error = config.set("iterations", Some("1")).unwrap_err();
//! assert_eq!(error.to_string(), "iterations: a number from 4096 to 100000000 was expected");
//! let error = config.set("min_sff", None).unwrap_err();
//! assert_eq!(error.to_string(), "min_sff: there is no such option; did you mean minssf?");
//! # Ok::<(), authen_sasl_rust::error::Error>(())
//! ```

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
    BINDINGS_LIMIT, DEFAULT_MAX_BUF, FRAME_LIMIT, ITERATIONS_LIMIT, MAX_ITERATIONS, MIN_ITERATIONS, OTP_SEQUENCE_LIMIT,
    VALUE_LIMIT,
};
#[doc(hidden)]
pub use names::{nearest, Closeness};
pub use table::OPTIONS;
