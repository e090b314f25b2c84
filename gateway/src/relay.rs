//! Relays bytes both ways between two streams.
//!
//! An idle relay holds no buffer: each thread has one, which the running relay uses. What the other side does not take at once is
//! kept until it does, and nothing more is read meanwhile, so a slow reader slows down the writer but not the gateway.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use crate::busy_poll;

/// Size of a thread's buffer.
const BUFFER_SIZE: usize = 64 * 1024;

/// How long the client's bytes are still read after the backend has ended.
const LINGER: Duration = Duration::from_secs(2);

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER_SIZE].into_boxed_slice());
}

/// A stream to be relayed.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Bytes that have been carried each way: by one relay, or by all.
#[derive(Debug, Default)]
pub struct Carried {
    /// From the client to the backend.
    pub up: AtomicU64,
    /// From the backend to the client.
    pub down: AtomicU64,
}

/// What a relay counts.
#[derive(Clone, Copy)]
pub struct Counters<'c> {
    /// Its own bytes.
    pub own: &'c Carried,
    /// Those of all relays.
    pub all: &'c Carried,
}

/// What has been read of each side before the relay begins.
#[derive(Debug, Default)]
pub struct Early {
    /// Of the client.
    pub up: Vec<u8>,
    /// Of the backend.
    pub down: Vec<u8>,
}

/// One direction.
struct Flow<'c> {
    /// Read, but not yet written.
    kept: Vec<u8>,
    sent: usize,
    unflushed: bool,
    ended: bool,
    done: bool,
    /// Its own bytes, which it alone changes.
    carried: &'c AtomicU64,
    all: &'c AtomicU64,
}

impl<'c> Flow<'c> {
    fn new(first: Vec<u8>, carried: &'c AtomicU64, all: &'c AtomicU64) -> Self {
        Flow { kept: first, sent: 0, unflushed: false, ended: false, done: false, carried, all }
    }

    fn count(&mut self, bytes: usize) {
        self.carried.store(self.carried() + bytes as u64, Ordering::Relaxed);
        self.all.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    fn poll<A: Stream, B: Stream>(&mut self, from: &mut A, to: &mut B, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        loop {
            while self.sent < self.kept.len() {
                let written = ready!(Pin::new(&mut *to).poll_write(cx, &self.kept[self.sent..]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.sent += written;
                self.unflushed = true;
                self.count(written);
            }
            if !self.kept.is_empty() {
                self.kept = Vec::new();
                self.sent = 0;
            }
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            match BUFFER.with_borrow_mut(|buffer| self.pass(from, to, buffer, cx))? {
                Poll::Ready(()) => {}
                Poll::Pending => {
                    if self.unflushed {
                        ready!(Pin::new(&mut *to).poll_flush(cx))?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Reads once, and writes what can be written without waiting.
    fn pass<A: Stream, B: Stream>(
        &mut self,
        from: &mut A,
        to: &mut B,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> io::Result<Poll<()>> {
        let mut read = ReadBuf::new(buffer);
        if Pin::new(from).poll_read(cx, &mut read)?.is_pending() {
            return Ok(Poll::Pending);
        }
        busy_poll::renew();
        let filled = read.filled();
        if filled.is_empty() {
            self.ended = true;
            return Ok(Poll::Ready(()));
        }
        let written = match Pin::new(to).poll_write(cx, filled)? {
            Poll::Ready(written) => written,
            Poll::Pending => 0,
        };
        self.unflushed |= written > 0;
        self.count(written);
        if written < filled.len() {
            self.kept = filled[written..].to_vec();
        }
        Ok(Poll::Ready(()))
    }
}

/// Relays until the backend has ended, or either side has failed, or the client has ended and the backend has sent nothing for
/// `half_closed`.
pub async fn relay<C: Stream, B: Stream>(
    client: &mut C,
    backend: &mut B,
    early: Early,
    counters: Counters<'_>,
    half_closed: Duration,
) -> io::Result<()> {
    let Counters { own, all } = counters;
    let (mut up, mut down) = (Flow::new(early.up, &own.up, &all.up), Flow::new(early.down, &own.down, &all.down));
    let result = run(&mut up, &mut down, client, backend, half_closed).await;
    if result.is_ok() && !up.ended {
        discard(client, LINGER).await;
    }
    result
}

async fn run<C: Stream, B: Stream>(
    up: &mut Flow<'_>,
    down: &mut Flow<'_>,
    client: &mut C,
    backend: &mut B,
    half_closed: Duration,
) -> io::Result<()> {
    poll_fn(|cx| {
        if let Poll::Ready(Err(error)) = up.poll(client, backend, cx) {
            // The backend's last bytes may still be on their way.
            if error.kind() != io::ErrorKind::BrokenPipe {
                return Poll::Ready(Err(error));
            }
            up.done = true;
        }
        match down.poll(backend, client, cx) {
            Poll::Pending if up.done => Poll::Ready(Ok(())),
            state => state,
        }
    })
    .await?;
    // A client that is gone looks like one that still listens, until something is sent to it.
    while !down.done {
        let before = down.carried();
        match timeout(half_closed, poll_fn(|cx| down.poll(backend, client, cx))).await {
            Ok(result) => return result,
            Err(_) if down.carried() != before => {}
            Err(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client has ended its side, and the backend sends nothing more",
                ))
            }
        }
    }
    Ok(())
}

/// Closes without losing data: closing a socket with unread input resets it, and then the peer may lose what it has not read yet.
pub async fn close<S: Stream>(stream: &mut S, linger: Duration) {
    if stream.shutdown().await.is_ok() {
        discard(stream, linger).await;
    }
}

async fn discard<S: Stream>(stream: &mut S, time: Duration) {
    // On the heap: an array would take memory of every connection, from its start.
    let mut buffer = vec![0; 1024];
    let reading = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    // The connection is closed now in any case.
    let _ = timeout(time, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything arrives in order through small pipes, the early bytes of both sides first, and the end of the stream is passed on.
    #[tokio::test]
    async fn all_bytes_arrive_through_narrow_pipes() {
        let (mut outer, mut client) = tokio::io::duplex(7);
        let (mut backend, inner) = tokio::io::duplex(5);
        let (own, all) = (Carried::default(), Carried { up: 5.into(), down: 7.into() });
        let sent: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let echo = tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(inner);
            tokio::io::copy(&mut read, &mut write).await.unwrap();
            write.shutdown().await.unwrap();
        });
        let expected = [b"greetingearly".to_vec(), sent.clone()].concat();
        let talk = tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(&mut outer);
            let writing = async {
                write.write_all(&sent).await.unwrap();
                write.shutdown().await.unwrap();
            };
            let mut back = Vec::new();
            let (_, read) = tokio::join!(writing, read.read_to_end(&mut back));
            read.unwrap();
            back
        });
        let early = Early { up: b"early".to_vec(), down: b"greeting".to_vec() };
        let (counters, minute) = (Counters { own: &own, all: &all }, Duration::from_secs(60));
        relay(&mut client, &mut backend, early, counters, minute).await.unwrap();
        drop(client);
        assert!(talk.await.unwrap() == expected);
        echo.await.unwrap();
        let (up, down) = (expected.len() as u64 - 8, expected.len() as u64);
        assert_eq!((own.up.into_inner(), own.down.into_inner()), (up, down));
        assert_eq!((all.up.into_inner(), all.down.into_inner()), (up + 5, down + 7));
    }

    /// The backend may go on as long as it sends something. Then the relay ends, although the backend keeps its side open.
    #[tokio::test(start_paused = true)]
    async fn a_half_closed_relay_ends() {
        let ((mut outer, mut client), (mut backend, mut inner)) = (tokio::io::duplex(100), tokio::io::duplex(100));
        let (own, all) = (Carried::default(), Carried::default());
        let server = tokio::spawn(async move {
            let mut asked = String::new();
            inner.read_to_string(&mut asked).await.unwrap();
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                inner.write_all(b"word").await.unwrap();
            }
            (asked, inner)
        });
        outer.write_all(b"quit").await.unwrap();
        outer.shutdown().await.unwrap();
        let (begin, minute) = (tokio::time::Instant::now(), Duration::from_secs(60));
        let counters = Counters { own: &own, all: &all };
        let result = relay(&mut client, &mut backend, Early::default(), counters, minute).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!((own.up.into_inner(), own.down.into_inner()), (4, 12));
        assert!((150 + 60..150 + 120).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
        assert_eq!(server.await.unwrap().0, "quit");
    }
}
