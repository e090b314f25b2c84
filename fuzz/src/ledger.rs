//! Counts the exchanges of a server of the AUTH line protocol from outside: by what it has taken and what it says.

use authen_sasl_rust::authline::decoder::Decoder;
use authen_sasl_rust::authline::reply::Reply;
use authen_sasl_rust::authline::request::Request;

/// Each exchange that has begun comes to one end: success, or one failure, or one word that nobody could be judged.
pub struct Ledger {
    requests: Decoder<Request>,
    replies: Decoder<Reply>,
    /// Exchanges that have begun, and neither succeeded nor failed.
    open: usize,
}

impl Ledger {
    /// For a server that reads tokens of at most so many bytes.
    pub fn new(token_limit: usize) -> Self {
        Ledger { requests: Decoder::new(token_limit), replies: Decoder::new(usize::MAX >> 1), open: 0 }
    }

    /// The server has taken these bytes.
    pub fn taken(&mut self, mut bytes: &[u8]) {
        while let Ok(Some(request)) = self.requests.next(&mut bytes) {
            match request {
                Request::Start { .. } => self.open += 1,
                // A step of no exchange is refused like one.
                Request::Step(_) if self.open == 0 => self.open += 1,
                _ => {}
            }
        }
    }

    /// The server says these bytes before anybody is authenticated. Gives the lists of mechanisms among them.
    pub fn said(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut lists = Vec::new();
        while let Some(reply) = self.replies.next(&mut bytes).expect("a server's reply") {
            if let Reply::Ok(Some(list)) = reply {
                lists.push(list.expose_str().expect("a list in UTF-8").to_owned());
            }
        }
        lists
    }

    /// An exchange has succeeded, or the server has told that one has failed.
    pub fn ended(&mut self) {
        assert!(self.open > 0, "an exchange ends twice");
        self.open -= 1;
    }

    /// The server wants more bytes: one exchange may be under way.
    pub fn waits(&self) {
        assert!(self.open <= 1, "an exchange was ended by another one, and nobody has counted it");
    }

    /// The dialogue is over.
    pub fn over(&self) {
        assert_eq!(self.open, 0, "an exchange has ended without success, and nobody has counted it");
    }
}
