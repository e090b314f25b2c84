//! The types that mechanisms, sessions and applications exchange: properties and their values, questions and answers, the
//! abilities of an application, and descriptions of mechanisms.

mod description;
mod questions;
mod sets;
mod values;

pub use description::{CredentialKind, Description};
pub use questions::{Answer, Question, TokenVerdict};
pub use sets::{Abilities, SecurityFlags};
pub use values::{Property, Values};
