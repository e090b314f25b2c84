//! A connection and the functions for its plugin, which need its address.

use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::connection::{Connection, Hooks, NoHooks};
use super::journal::Log;
use super::options::Options;
use super::utils;

/// The owner of a connection. Plugins keep its address.
pub struct Owned(NonNull<Connection>);

// SAFETY: neither we nor a plugin ties a connection to a thread, and `Connection` is not `Sync`, so only one at a
// time uses it. Its pointers lead to data that its owner keeps as long.
unsafe impl Send for Owned {}

impl Owned {
    /// A connection; `utils().conn` is its address.
    pub fn new(options: Arc<Options>, log: Option<Log>, hooks: Box<dyn Hooks>) -> Self {
        Self::make(options, log, hooks, true)
    }

    /// For a plugin's init and free functions, whose utils have no connection.
    pub fn global(options: Arc<Options>, log: Option<Log>) -> Self {
        Self::make(options, log, Box::new(NoHooks), false)
    }

    fn make(options: Arc<Options>, log: Option<Log>, hooks: Box<dyn Hooks>, with_conn: bool) -> Self {
        let utils = utils::table(ptr::null_mut(), ptr::null_mut());
        let pointer = NonNull::from(Box::leak(Box::new(Connection::new(utils, options, log, hooks))));
        let conn = if with_conn { pointer.as_ptr().cast() } else { ptr::null_mut() };
        // SAFETY: it was just allocated, and there is no other pointer to it yet.
        unsafe { (*pointer.as_ptr()).utils = utils::table(conn, pointer.as_ptr().cast()) };
        Owned(pointer)
    }
}

impl Deref for Owned {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        // SAFETY: it lives until this owner is dropped, and is never borrowed mutably.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: it came out of a box in `make`, and this is its only owner.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
