//! The words that mechanisms, sessions and applications speak with each other: properties and their values, questions
//! and answers, what an application can answer, and what a mechanism is.

mod description;
mod questions;
mod sets;
mod values;

pub use description::{CredentialKind, Description};
pub use questions::{Answer, Question, TokenVerdict};
pub use sets::{Abilities, SecurityFlags};
pub use values::{Property, Values};
