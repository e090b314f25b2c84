//! Security layers after the exchange: the framing, and the rule that any error ends the layer.
//!
//! ```
//! use authen_sasl_rust::contract::{LayerLimits, SecurityLayer, Side};
//! use authen_sasl_rust::error::Error;
//! use authen_sasl_rust::layer::Stream;
//!
//! /// A frame is the plaintext itself. (A layer of a mechanism protects it.)
//! struct Bare;
//!
//! impl SecurityLayer for Bare {
//!     fn limits(&self) -> LayerLimits {
//!         LayerLimits { ssf: 0, max_plaintext: 4, max_received: 4 }
//!     }
//!
//!     fn room(&self, length: usize) -> usize {
//!         length
//!     }
//!
//!     fn encode(&mut self, _: &mut [u8], length: usize) -> Result<usize, Error> {
//!         Ok(length)
//!     }
//!
//!     fn decode(&mut self, frame: &mut [u8]) -> Result<usize, Error> {
//!         Ok(frame.len())
//!     }
//! }
//!
//! let (mut sender, mut receiver) = (Stream::new(Box::new(Bare), Side::Client, "X"), Stream::new(Box::new(Bare), Side::Server, "X"));
//! let mut frames = Vec::new();
//! sender.frame(b"hello", &mut frames)?;
//! assert_eq!(frames, b"\0\0\0\x04hell\0\0\0\x01o");
//! for byte in frames {
//!     receiver.feed(&[byte])?;
//! }
//! assert_eq!(receiver.plaintext(), b"hello");
//! # Ok::<(), Error>(())
//! ```

mod frame;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::contract::{LayerLimits, SecurityLayer, Side};
use crate::error::{Error, Failure, Malformed, Misuse};

use frame::{check_length, Incoming};

pub use frame::FRAME;

/// A security layer with its buffered data.
pub struct Stream {
    layer: Box<dyn SecurityLayer>,
    side: Side,
    mechanism: &'static str,
    incoming: Incoming,
    search: SearchCursor,
    broken: Option<Error>,
}

/// The separator of the last search, and how many bytes of plaintext were searched without finding it. So a line in many
/// frames is not searched from its beginning for each frame.
#[derive(Default)]
struct SearchCursor {
    separator: Box<[u8]>,
    searched: usize,
}

/// A layer that is shared by the connection and the handles over its sockets. A new exchange on the connection does not
/// change the handles.
pub type SharedLayer = Arc<Mutex<Stream>>;

/// Creates a shared layer.
pub fn share(layer: Box<dyn SecurityLayer>, side: Side, mechanism: &'static str) -> SharedLayer {
    Arc::new(Mutex::new(Stream::new(layer, side, mechanism)))
}

/// Locks the layer for one call.
pub fn lock(layer: &SharedLayer) -> MutexGuard<'_, Stream> {
    layer.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    /// A layer without data.
    pub fn new(layer: Box<dyn SecurityLayer>, side: Side, mechanism: &'static str) -> Self {
        Stream { layer, side, mechanism, incoming: Incoming::default(), search: SearchCursor::default(), broken: None }
    }

    /// The negotiated limits.
    pub fn limits(&self) -> LayerLimits {
        self.layer.limits()
    }

    /// The error that has ended the layer, if any.
    pub fn failure(&self) -> Option<Failure> {
        let error = self.broken.clone()?;
        Some(Failure { side: self.side, mechanism: Some(self.mechanism), error })
    }

    /// Ends the layer.
    pub fn break_with(&mut self, error: Error) {
        self.incoming.discard();
        self.broken.get_or_insert(error);
    }

    /// Maximum size of the frame for a message of that length, in bytes.
    pub fn room(&self, length: usize) -> usize {
        self.layer.room(length)
    }

    /// Protects one message in place, as [`SecurityLayer::encode`] does.
    ///
    /// # Errors
    /// [`Misuse::MessageTooLong`], after which the layer can still be used. Any other error ends it.
    pub fn encode(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Error> {
        if length > self.limits().max_plaintext {
            return Err(Error::Misuse(Misuse::MessageTooLong));
        }
        self.guard(|stream| stream.layer.encode(buffer, length))
    }

    /// Decodes one frame in place, as [`SecurityLayer::decode`] does.
    ///
    /// # Errors
    /// Any error ends the layer.
    pub fn decode(&mut self, frame: &mut [u8]) -> Result<usize, Error> {
        self.guard(|stream| {
            check_length(frame.len(), stream.limits().max_received)?;
            stream.layer.decode(frame)
        })
    }

    /// Divides plaintext into messages, and appends the frames with their lengths to `out`.
    ///
    /// # Errors
    /// Any error ends the layer; `out` is then unchanged.
    pub fn frame(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let before = out.len();
        let framed = self.guard(|stream| frame::append(&mut *stream.layer, plaintext, out));
        if framed.is_err() {
            out.truncate(before);
        }
        framed
    }

    /// Takes received bytes: parts of frames, or several frames.
    ///
    /// # Errors
    /// Any error ends the layer and discards all plaintext.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let fed = self.guard(|stream| stream.incoming.feed(&mut *stream.layer, bytes));
        if fed.is_err() {
            self.incoming.discard();
        }
        fed
    }

    /// Verified plaintext that was not consumed yet.
    pub fn plaintext(&self) -> &[u8] {
        self.incoming.plaintext()
    }

    /// The number of bytes up to and including the first `separator`; 0 if there is none.
    pub fn find(&mut self, separator: &[u8]) -> usize {
        let Some(&last) = separator.last() else { return 0 };
        if *self.search.separator != *separator {
            self.search = SearchCursor { separator: separator.into(), searched: 0 };
        }
        let plaintext = self.incoming.plaintext();
        let ends = |at: &usize| plaintext[*at] == last && plaintext[..=*at].ends_with(separator);
        let found = (self.search.searched..plaintext.len()).find(ends);
        self.search.searched = found.unwrap_or(plaintext.len());
        found.map_or(0, |at| at + 1)
    }

    /// Removes the first `count` bytes of the plaintext, which were read.
    pub fn consume(&mut self, count: usize) {
        self.search.searched = self.search.searched.saturating_sub(count);
        self.incoming.consume(count);
    }

    /// Maximum number of bytes to read next without reading beyond the current frame.
    pub fn wanted(&self) -> usize {
        self.incoming.wanted()
    }

    /// True if the current frame is incomplete: the peer must not close the connection here.
    pub fn in_frame(&self) -> bool {
        self.incoming.in_frame()
    }

    /// The peer has closed the connection. In the middle of a frame, this is an error.
    pub fn cut(&mut self) {
        if self.in_frame() && self.broken.is_none() {
            self.break_with(Error::malformed(
                FRAME,
                Malformed::Unexpected("the connection was closed in the middle of it"),
            ));
        }
    }

    fn guard<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let result = work(self);
        if let Err(error) = &result {
            self.broken = Some(error.clone());
        }
        result
    }
}

#[cfg(test)]
mod tests;
