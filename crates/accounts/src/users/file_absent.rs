//! For systems without Unix owners and modes: it is unknown who may read the secrets of a file, so every file is refused.

use std::path::Path;

use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::secret::Secret;

const WHY: &str = "this system's build has no owners and modes of Unix, which tell whether others can read it";

/// Tells one content of a file from another.
pub(super) type Stamp = ();

/// A file as it was read: no value of this type exists.
#[derive(Debug)]
pub(super) enum Opened {}

impl Opened {
    pub fn read_only(path: &Path) -> Result<Self, Error> {
        Err(refused(path, WHY))
    }

    pub fn content(&self, _path: &Path) -> Result<Secret, Error> {
        match *self {}
    }

    pub fn stamp(&self) -> Stamp {
        match *self {}
    }
}

pub(super) fn stamp(path: &Path) -> Result<Stamp, Error> {
    Err(refused(path, WHY))
}

/// A file that nobody else changes: no value of this type exists.
pub(super) enum Locked {}

impl Locked {
    pub fn new(path: &Path, _create: bool, _wait: std::time::Duration) -> Result<Self, Error> {
        Err(refused(path, WHY))
    }

    pub fn content(&self) -> Result<Secret, Error> {
        match *self {}
    }

    pub fn replace(&self, _content: &Secret) -> Result<(), Error> {
        match *self {}
    }
}

/// What is refused here.
pub(super) fn refused(path: &Path, why: &str) -> Error {
    Error::outside(Code::ConfigErr, format!("users file {}: {why}", path.display()))
}
