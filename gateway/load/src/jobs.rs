//! Requests to the beanstalkd behind the gateway, whose replies are checked.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::client::wrong;

/// Replies of beanstalkd, read in large pieces.
pub struct Replies {
    buffer: Vec<u8>,
    at: usize,
}

impl Replies {
    pub fn new() -> Self {
        Replies { buffer: Vec::new(), at: 0 }
    }

    pub fn fill(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let old = self.buffer.len();
        self.buffer.resize(old + 65_536, 0);
        let size = stream.read(&mut self.buffer[old..])?;
        self.buffer.truncate(old + size);
        if size == 0 {
            return Err(wrong("the connection was closed"));
        }
        Ok(())
    }

    pub fn line(&mut self, stream: &mut TcpStream) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer[self.at..].windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[self.at..self.at + end]).into_owned();
                self.at += end + 2;
                return Ok(line);
            }
            self.fill(stream)?;
        }
    }

    /// Reads the body of a job, and compares it with the expected one.
    pub fn body(&mut self, stream: &mut TcpStream, expected: &[u8]) -> io::Result<()> {
        while self.buffer.len() - self.at < expected.len() + 2 {
            self.fill(stream)?;
        }
        let body = &self.buffer[self.at..self.at + expected.len()];
        if body != expected {
            return Err(wrong("a job has come back changed"));
        }
        self.at += expected.len() + 2;
        Ok(())
    }
}

/// Puts, reserves and deletes `count` jobs, with `depth` commands in flight.
pub fn jobs(stream: &mut TcpStream, count: usize, depth: usize, body: &[u8]) -> io::Result<()> {
    let mut replies = Replies::new();
    let put = [format!("put 0 0 60 {}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat();
    let mut left = count;
    while left > 0 {
        let now = left.min(depth);
        left -= now;
        stream.write_all(&put.repeat(now))?;
        for _ in 0..now {
            let line = replies.line(stream)?;
            if !line.starts_with("INSERTED ") {
                return Err(wrong(&format!("put: {line}")));
            }
        }
        stream.write_all(&b"reserve\r\n".repeat(now))?;
        let mut delete = Vec::new();
        for _ in 0..now {
            let line = replies.line(stream)?;
            let mut words = line.split(' ');
            let (word, id, size) = (words.next(), words.next().unwrap_or_default(), words.next());
            if word != Some("RESERVED") || size != Some(body.len().to_string().as_str()) {
                return Err(wrong(&format!("reserve: {line}")));
            }
            replies.body(stream, body)?;
            delete.extend_from_slice(format!("delete {id}\r\n").as_bytes());
        }
        stream.write_all(&delete)?;
        for _ in 0..now {
            let line = replies.line(stream)?;
            if line != "DELETED" {
                return Err(wrong(&format!("delete: {line}")));
            }
        }
    }
    Ok(())
}

/// Sends `rate` requests a second, on all connections in turn, and reads each reply before the next request. Returns their number.
pub fn paced(streams: &mut [TcpStream], rate: usize, time: Duration) -> io::Result<usize> {
    let mut replies: Vec<_> = streams.iter().map(|_| Replies::new()).collect();
    let begin = Instant::now();
    let mut sent = 0;
    while begin.elapsed() < time {
        let due = begin + Duration::from_secs_f64(sent as f64 / rate as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let at = sent % streams.len();
        streams[at].write_all(b"list-tube-used\r\n")?;
        let line = replies[at].line(&mut streams[at])?;
        if line != "USING default" {
            return Err(wrong(&line));
        }
        sent += 1;
    }
    Ok(sent)
}
