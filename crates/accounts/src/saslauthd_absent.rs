//! For systems without Unix sockets, and so without saslauthd.

use std::path::Path;
use std::time::Duration;

use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::config::Config;
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::vocabulary::{Abilities, Answer, Question};

/// The accounts of a saslauthd: no value of this type exists.
#[derive(Debug)]
pub enum Saslauthd {}

impl Saslauthd {
    /// Refuses.
    ///
    /// # Errors
    /// [`Error::Outside`], always.
    pub fn new(path: &Path, _limit: Duration) -> Result<Self, Error> {
        let text = format!("saslauthd at {}: this system's build has no Unix sockets", path.display());
        Err(Error::outside(Code::Unavail, text))
    }
}

impl Accounts for Saslauthd {
    fn abilities(&self) -> Abilities {
        match *self {}
    }

    fn answer(&self, _question: &Question, _config: &Config) -> Result<Answer, Error> {
        match *self {}
    }
}
