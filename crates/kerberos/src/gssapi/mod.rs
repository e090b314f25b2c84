//! The system's GSS-API library (RFC 2744), opened at run time: MIT Kerberos or Heimdal.
//!
//! Only the files of this module call it; their interface is safe. Names, credentials and contexts have one owner each, and
//! are released when dropped.
#![allow(unsafe_code)]

mod context;
mod credentials;
mod library;
mod name;
mod raw;

pub use context::{Acceptor, Client, Initiator, Progress, SecurityContext};
pub use credentials::{Credentials, Store};
pub use library::{flag, is_present, Speaking};
pub use name::Name;
