//! The client of saslauthd against daemons that do not behave. The real one is in xt/accounts/saslauthd.t.
#![cfg(unix)]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use authen_sasl_accounts::saslauthd::{Login, Reply, Saslauthd};
use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Answer, Question};
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::secret::Secret;

const LIMIT: Duration = Duration::from_millis(500);

struct Socket(PathBuf);

impl Socket {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("saslauthd-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Socket(std::env::temp_dir().join(name))
    }

    fn check(&self, user: &str, password: &[u8]) -> Result<Reply, Error> {
        let login = Login { user, password: &Secret::new(password), service: "imap", realm: "home" };
        Saslauthd::new(&self.0, LIMIT).expect("a limit").check(&login)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Asks a daemon that serves one connection with `serve`.
fn ask(serve: impl FnOnce(&mut UnixStream) + Send + 'static) -> Result<Reply, Error> {
    let socket = Socket::new();
    let listener = UnixListener::bind(&socket.0).expect("a socket");
    let daemon = thread::spawn(move || serve(&mut listener.accept().expect("a connection").0));
    let begin = Instant::now();
    let reply = socket.check("fred", b"pencil");
    assert!(begin.elapsed() < LIMIT * 3, "{:?}", begin.elapsed());
    daemon.join().expect("the daemon");
    reply
}

/// The whole request for fred.
const REQUEST: &[u8] = b"\0\x04fred\0\x06pencil\0\x04imap\0\x04home";

fn take(stream: &mut UnixStream) {
    let mut request = [0; REQUEST.len()];
    stream.read_exact(&mut request).expect("the request");
    assert_eq!(request, REQUEST);
}

fn says(reply: &'static [u8]) -> Result<Reply, Error> {
    ask(move |stream| {
        take(stream);
        stream.write_all(reply).expect("the answer");
    })
}

#[test]
fn only_ok_is_yes() {
    for reply in [&b"\0\x02OK"[..], b"\0\x09OK remote", b"\0\x02OKNO", b"\0\x03OK "] {
        assert_eq!(says(reply), Ok(Reply::Yes), "{reply:?}");
    }
    for (reply, reason) in [
        (&b"\0\x02NO"[..], ""),
        (b"\0\x18NO authentication failed", "authentication failed"),
        (b"\0\x05NO \x07\xff", "\\u{7}\u{fffd}"),
        (b"\0\x05NO OK", "OK"),
    ] {
        assert_eq!(says(reply), Ok(Reply::No(reason.into())), "{reply:?}");
    }
    for reply in
        [&b"\0\0"[..], b"\0\x01O", b"\0\x02ok", b"\0\x04OKAY", b"\0\x03OK\0", b"\0\x03NOK", b"\0\x03 OK", b"\0\x02\0\0"]
    {
        let error = says(reply).expect_err("neither OK nor NO");
        assert_eq!(error.code(), Code::Fail, "{reply:?}");
        assert!(error.to_string().contains("it answered neither OK nor NO"), "{error}");
    }
}

/// A daemon that knows no realms would take fred's password for any of these.
#[test]
fn a_name_of_another_domain_is_not_asked_for() {
    let socket = Socket::new();
    let accounts = Saslauthd::new(&socket.0, LIMIT).expect("a limit");
    let verdict = |user: &str, realm: Option<&str>| {
        let mut config = Config::default();
        config.set("realm", realm).expect("a realm");
        let (authcid, password) = (user.to_owned(), Secret::new(b"pencil"));
        accounts.answer(&Question::CheckPassword { authcid, authzid: None, password }, &config)
    };
    // Nobody listens there, so an answer is one without the daemon.
    for (user, realm) in [
        ("fred@victim.org", Some("example.org")),
        ("fred@victim.org@example.org", Some("example.org")),
        ("fred@", Some("example.org")),
        ("fred@", None),
    ] {
        assert!(matches!(verdict(user, realm), Ok(Answer::Verdict(false))), "{user} {realm:?}");
    }
    for (user, realm) in
        [("fred", Some("example.org")), ("fred@example.org", Some("example.org")), ("fred@example.org", None)]
    {
        assert!(verdict(user, realm).is_err_and(|error| error.code() == Code::Unavail), "{user} {realm:?}");
    }
}

#[test]
fn an_answer_that_ends_early_is_no_answer() {
    for reply in [&b""[..], b"\0", b"\0\x02", b"\0\x02O", b"\0\x03OK", b"\xff\xffOK"] {
        let error = says(reply).expect_err("it is short");
        assert_eq!(error.code(), Code::Unavail, "{reply:?}");
        assert!(error.to_string().contains("it ended in the middle of its answer"), "{error}");
    }
}

#[test]
fn a_daemon_may_go_away_before_it_has_read() {
    let error = ask(|_| ()).expect_err("no answer");
    assert_eq!(error.code(), Code::Unavail, "{error}");
    // What it says without having read is an answer, if it still arrives; no success is made of a part.
    let early = ask(|stream| stream.write_all(b"\0\x02O").expect("half an answer"));
    assert_eq!(early.expect_err("half an answer").code(), Code::Unavail);
}

#[test]
fn a_slow_daemon_is_left() {
    for reply in [&b""[..], b"\0\x02O"] {
        let error = ask(move |stream| {
            stream.write_all(reply).expect("a part");
            thread::sleep(LIMIT + LIMIT / 2);
        })
        .expect_err("it is slow");
        assert!(error.to_string().contains("no answer within 0.5 seconds"), "{error}");
        assert_eq!(error.code(), Code::Unavail);
    }
    // One byte now and then does not make the time longer.
    let error = ask(|stream| {
        for byte in *b"\0\x02OK" {
            thread::sleep(LIMIT / 3);
            let _ = stream.write_all(&[byte]);
        }
    });
    assert_eq!(error.expect_err("it is slow").code(), Code::Unavail);
}

#[test]
fn a_daemon_that_does_not_accept_is_left() {
    let socket = Socket::new();
    let listener = UnixListener::bind(&socket.0).expect("a socket");
    let waiting: Vec<_> = (0..).map_while(|_| hung(&socket)).collect();
    let begin = Instant::now();
    let error = socket.check("fred", b"pencil").expect_err("nobody accepts");
    assert!(begin.elapsed() < LIMIT * 3, "{:?}", begin.elapsed());
    assert!(error.to_string().contains("no answer within"), "{error}");
    drop((listener, waiting));
}

/// A connection in the daemon's queue; none once that is full.
fn hung(socket: &Socket) -> Option<UnixStream> {
    use rustix::net::{connect, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).expect("a socket");
    connect(&stream, &SocketAddrUnix::new(&socket.0).expect("a name")).ok().map(|()| stream.into())
}

#[test]
fn a_daemon_that_is_not_there() {
    let socket = Socket::new();
    let error = socket.check("fred", b"pencil").expect_err("no socket");
    assert_eq!(error.code(), Code::Unavail);
    assert!(error.to_string().contains("it cannot be reached: No such file"), "{error}");
    drop(UnixListener::bind(&socket.0).expect("a socket"));
    let error = socket.check("fred", b"pencil").expect_err("nobody listens");
    assert!(error.to_string().contains("it cannot be reached: Connection refused"), "{error}");
    std::fs::remove_file(&socket.0).expect("it was there");
    std::fs::write(&socket.0, "").expect("a file");
    assert!(socket.check("fred", b"pencil").is_err());
    let long = PathBuf::from(format!("/{}", "x".repeat(200)));
    let daemon = Saslauthd::new(&long, LIMIT).expect("a limit");
    let login = Login { user: "fred", password: &Secret::new(b"pencil"), service: "imap", realm: "" };
    assert_eq!(daemon.check(&login).expect_err("a long name").code(), Code::Unavail);
    assert!(Saslauthd::new(&long, Duration::ZERO).is_err());
}

#[test]
fn what_the_daemon_would_misread_is_not_sent() {
    // Nobody listens: whatever were sent would be an error.
    let socket = Socket::new();
    let long = "x".repeat(257);
    for (user, password, reason) in [
        ("", &b"pencil"[..], "empty"),
        ("@home", b"pencil", "empty"),
        ("fred", b"", "empty"),
        ("fr\0ed", b"pencil", "the user name holds a NUL"),
        ("fred@\0", b"pencil", "the realm holds a NUL"),
        ("fred", b"pencil\0x", "the password holds a NUL"),
        (&long, b"pencil", "the user name is longer than 256 bytes"),
        ("fred", long.as_bytes(), "the password is longer"),
    ] {
        match socket.check(user, password) {
            Ok(Reply::No(no)) => assert!(no.contains(reason), "{no}"),
            other => panic!("{user:?}: {other:?}"),
        }
    }
    let fits = &long[1..];
    assert!(socket.check(fits, fits.as_bytes()).is_err(), "256 bytes are sent");
}
