//! Counts the exchanges of an AUTH line protocol server from outside: by what it receives and sends.

use authen_sasl_rust::authline::decoder::Decoder;
use authen_sasl_rust::authline::reply::Reply;
use authen_sasl_rust::authline::request::Request;

/// Each exchange that has started must end exactly once: with a success, a failure, or "unavailable".
pub struct Ledger {
    requests: Decoder<Request>,
    replies: Decoder<Reply>,
    /// Exchanges that have started but not ended.
    open: usize,
}

impl Ledger {
    /// For a server with that limit for the size of tokens.
    pub fn new(token_limit: usize) -> Self {
        Ledger { requests: Decoder::new(token_limit), replies: Decoder::new(usize::MAX >> 1), open: 0 }
    }

    /// The server has received these bytes.
    pub fn received(&mut self, mut bytes: &[u8]) {
        while let Ok(Some(request)) = self.requests.next(&mut bytes) {
            match request {
                Request::Start { .. } => self.open += 1,
                // A step outside an exchange is refused like a failed exchange.
                Request::Step(_) if self.open == 0 => self.open += 1,
                _ => {}
            }
        }
    }

    /// The server has sent these bytes before the client was authenticated. Returns the mechanism lists in them.
    pub fn sent(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut lists = Vec::new();
        while let Some(reply) = self.replies.next(&mut bytes).expect("a server's reply") {
            if let Reply::Ok(Some(list)) = reply {
                lists.push(list.expose_str().expect("a list in UTF-8").to_owned());
            }
        }
        lists
    }

    /// An exchange has succeeded, or the server has reported its failure.
    pub fn ended(&mut self) {
        assert!(self.open > 0, "an exchange ends twice");
        self.open -= 1;
    }

    /// The server waits for bytes: at most one exchange may be under way.
    pub fn waits(&self) {
        assert!(self.open <= 1, "an exchange was ended by another one without being reported");
    }

    /// The dialogue has ended.
    pub fn over(&self) {
        assert_eq!(self.open, 0, "an exchange has ended without success and without a report");
    }
}
