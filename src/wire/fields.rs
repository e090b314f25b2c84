//! The fields of messages that name them.

use crate::error::Malformed;

/// Stores the value of a field that may occur once.
///
/// # Errors
/// [`Malformed::Duplicate`].
pub fn once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), Malformed> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::Duplicate(name)),
    }
}
