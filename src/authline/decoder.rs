//! Divides a stream of bytes into messages: a line, and the data that the line announces.

use zeroize::Zeroize;

use super::{Fault, LINE_LIMIT, TOKEN_LIMIT};
use crate::secret::Secret;

/// The contents of a line, and the length of the data that follows it, if any.
pub type Line<H> = (H, Option<usize>);

/// A kind of message: the contents of its line, and the whole message with its data.
pub trait Message: Sized {
    /// The contents of the line.
    type Head;

    /// Parses a line without its CRLF.
    ///
    /// # Errors
    /// [`Fault::Syntax`] for a line of this protocol with wrong arguments.
    fn head(line: &[u8]) -> Result<Line<Self::Head>, Fault>;

    /// Combines head and data. There is data if and only if the head has announced it.
    fn complete(head: Self::Head, data: Option<Secret>) -> Self;

    /// Prints the message. This is the inverse of parsing.
    fn to_bytes(&self) -> Vec<u8>;
}

/// Parses messages, however the stream is divided.
///
/// It consumes no input beyond the message that it returns, so the caller keeps the bytes that follow a dialogue.
#[derive(Debug)]
pub struct Decoder<M: Message> {
    token_limit: usize,
    line: Vec<u8>,
    data: Option<Data<M::Head>>,
    fault: Option<Fault>,
}

#[derive(Debug)]
struct Data<H> {
    head: H,
    /// Without the CRLF at its end.
    size: usize,
    bytes: Wiped,
    /// The number of bytes of the CRLF so far.
    ending: usize,
}

/// Grows without leaving copies behind, by the bytes that arrive and not by the length that is announced.
#[derive(Debug, Default)]
struct Wiped(Vec<u8>);

impl Wiped {
    fn extend(&mut self, bytes: &[u8], most: usize) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(self.0.capacity() * 2).min(most));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<M: Message> Default for Decoder<M> {
    fn default() -> Self {
        Decoder::new(TOKEN_LIMIT)
    }
}

impl<M: Message> Decoder<M> {
    /// A decoder at the beginning of a message. A token longer than `token_limit` is a fault.
    pub fn new(token_limit: usize) -> Self {
        Decoder { token_limit, line: Vec::new(), data: None, fault: None }
    }

    /// Consumes bytes from the front of `input` until a message is complete; `None` if all bytes were consumed and it is not.
    ///
    /// # Errors
    /// A [`Fault`], which every later call returns too.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<M>, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let result = self.advance(input);
        if let Err(fault) = result {
            self.fault = Some(fault);
            self.line = Vec::new();
            self.data = None;
        }
        result
    }

    /// True if a message has begun and is not complete.
    pub fn is_inside(&self) -> bool {
        !self.line.is_empty() || self.data.is_some()
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<M>, Fault> {
        if self.data.is_none() {
            let Some((head, size)) = self.line(input)? else { return Ok(None) };
            let Some(size) = size else { return Ok(Some(M::complete(head, None))) };
            if size > self.token_limit {
                return Err(Fault::TooBig { size, limit: self.token_limit });
            }
            self.data = Some(Data { head, size, bytes: Wiped::default(), ending: 0 });
        }
        self.data(input)
    }

    fn line(&mut self, input: &mut &[u8]) -> Result<Option<Line<M::Head>>, Fault> {
        let end = input.iter().position(|&b| b == b'\n');
        let (taken, rest) = input.split_at(end.map_or(input.len(), |at| at + 1));
        if self.line.len() + taken.len() > LINE_LIMIT || (end.is_none() && self.line.len() + taken.len() == LINE_LIMIT)
        {
            return Err(Fault::LineTooLong);
        }
        self.line.extend_from_slice(taken);
        *input = rest;
        if end.is_none() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r\n").ok_or(Fault::BareLineFeed)?;
        M::head(line).map(Some)
    }

    fn data(&mut self, input: &mut &[u8]) -> Result<Option<M>, Fault> {
        let Some(data) = &mut self.data else { return Ok(None) };
        let missing = data.size - data.bytes.0.len();
        let (taken, rest) = input.split_at(missing.min(input.len()));
        data.bytes.extend(taken, data.size);
        *input = rest;
        while data.bytes.0.len() == data.size && data.ending < 2 {
            let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
            if byte != b"\r\n"[data.ending] {
                return Err(Fault::ExpectedCrlf);
            }
            data.ending += 1;
            *input = rest;
        }
        if data.ending < 2 {
            return Ok(None);
        }
        let complete = self.data.take();
        Ok(complete.map(|mut data| M::complete(data.head, Some(Secret::from(std::mem::take(&mut data.bytes.0))))))
    }
}
