//! Fields with names, in any message.

use crate::error::Malformed;

/// Stores the value of a field that may occur only once.
///
/// # Errors
/// [`Malformed::Duplicate`].
pub fn once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), Malformed> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::Duplicate(name)),
    }
}
