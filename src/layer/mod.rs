//! What is done with a security layer after the exchange: the framing, and the rule that an error
//! ends it for good.

mod frame;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::contract::{LayerLimits, SecurityLayer, Side};
use crate::error::{Error, Failure, Malformed, Misuse};

use frame::{check_length, Incoming};

pub use frame::FRAME;

/// A security layer with the bytes that are under way in it.
pub struct Stream {
    layer: Box<dyn SecurityLayer>,
    side: Side,
    mechanism: &'static str,
    incoming: Incoming,
    search: SearchCursor,
    broken: Option<Error>,
}

/// The separator of the last search, and the bytes of plaintext at whose end it is not found. Without them, a line in many
/// frames would be searched from its beginning for each frame.
#[derive(Default)]
struct SearchCursor {
    separator: Box<[u8]>,
    searched: usize,
}

/// A layer belongs to the connection and to each handle that was put over a socket; a new exchange
/// on the connection leaves the handles what they are.
pub type SharedLayer = Arc<Mutex<Stream>>;

/// Makes a layer that several can own.
pub fn share(layer: Box<dyn SecurityLayer>, side: Side, mechanism: &'static str) -> SharedLayer {
    Arc::new(Mutex::new(Stream::new(layer, side, mechanism)))
}

/// The layer, for one call.
pub fn lock(layer: &SharedLayer) -> MutexGuard<'_, Stream> {
    layer.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    /// A layer that nothing has gone through.
    pub fn new(layer: Box<dyn SecurityLayer>, side: Side, mechanism: &'static str) -> Self {
        Stream { layer, side, mechanism, incoming: Incoming::default(), search: SearchCursor::default(), broken: None }
    }

    /// What the two sides have agreed on.
    pub fn limits(&self) -> LayerLimits {
        self.layer.limits()
    }

    /// Why nothing goes through any more.
    pub fn failure(&self) -> Option<Failure> {
        let error = self.broken.clone()?;
        Some(Failure { side: self.side, mechanism: Some(self.mechanism), error })
    }

    /// Ends the layer.
    pub fn break_with(&mut self, error: Error) {
        self.incoming.discard();
        self.broken.get_or_insert(error);
    }

    /// The most bytes that the frame of a message takes.
    pub fn room(&self, length: usize) -> usize {
        self.layer.room(length)
    }

    /// Protects one message in place, as [`SecurityLayer::encode`] does.
    ///
    /// # Errors
    /// [`Misuse::MessageTooLong`], which ends nothing; any other error is the layer's end.
    pub fn encode(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Error> {
        if length > self.limits().max_plaintext {
            return Err(Error::Misuse(Misuse::MessageTooLong));
        }
        self.guard(|stream| stream.layer.encode(buffer, length))
    }

    /// Opens one frame in place, as [`SecurityLayer::decode`] does.
    ///
    /// # Errors
    /// Any error is the layer's end.
    pub fn decode(&mut self, frame: &mut [u8]) -> Result<usize, Error> {
        self.guard(|stream| {
            check_length(frame.len(), stream.limits().max_received)?;
            stream.layer.decode(frame)
        })
    }

    /// Cuts plaintext to messages, and appends the frames with their lengths to `out`.
    ///
    /// # Errors
    /// Any error is the layer's end; `out` is then as it was.
    pub fn frame(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let before = out.len();
        let framed = self.guard(|stream| frame::append(&mut *stream.layer, plaintext, out));
        if framed.is_err() {
            out.truncate(before);
        }
        framed
    }

    /// Takes bytes as they come from the peer: parts of frames or many of them.
    ///
    /// # Errors
    /// Any error is the layer's end, and no plaintext is left.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let fed = self.guard(|stream| stream.incoming.feed(&mut *stream.layer, bytes));
        if fed.is_err() {
            self.incoming.discard();
        }
        fed
    }

    /// Plaintext that was verified and not yet consumed.
    pub fn plaintext(&self) -> &[u8] {
        self.incoming.plaintext()
    }

    /// How many bytes of plaintext end with the first `separator`; 0 if none does.
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

    /// The first `count` bytes of the plaintext were read.
    pub fn consume(&mut self, count: usize) {
        self.search.searched = self.search.searched.saturating_sub(count);
        self.incoming.consume(count);
    }

    /// Bytes to read next, at most, so as not to read beyond the frame that is under way.
    pub fn wanted(&self) -> usize {
        self.incoming.wanted()
    }

    /// True if a frame has begun and not ended: the peer must not stop here.
    pub fn in_frame(&self) -> bool {
        self.incoming.in_frame()
    }

    /// The peer closed the connection: in the middle of a frame that is an error.
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
