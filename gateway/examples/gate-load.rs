//! Puts load on a gateway, or on a beanstalkd without one, and prints measurements.
//!
//!     gate-load logins  address=127.0.0.1:11301 user=fred password=pencil count=20000 threads=4
//!     gate-load jobs    address=127.0.0.1:11301 user=fred password=pencil count=200000 size=4096 threads=2 depth=16
//!     gate-load idle    address=127.0.0.1:11301 user=fred password=pencil count=5000 pid=PID-OF-THE-GATEWAY
//!     gate-load paced   address=127.0.0.1:11301 user=fred password=pencil rate=100 seconds=10 connections=1000 pid=PID-OF-THE-GATEWAY
//!     gate-load jobs    address=127.0.0.1:11300 count=200000        without user: no AUTH, directly to beanstalkd
//!
//! Each command prints one line of key=value words, and fails at the first wrong reply.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use authen_sasl_rust::authline::client::{Client, Event};
use authen_sasl_rust::contract::{Abilities, Answer, DerivedKeys, KeyId, Property, Values, World};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::keys::KeyMemory;
use authen_sasl_rust::world::{LookupMemory, OsRandom};

struct Arguments(HashMap<String, String>);

impl Arguments {
    fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| default.into())
    }

    fn number(&self, name: &str, default: usize) -> usize {
        self.0.get(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: expected a number")))
    }
}

/// Remembers the keys derived from the password for the life of the process, as the library does.
struct Keys(Arc<KeyMemory>);

impl DerivedKeys for Keys {
    fn find(&self, id: &KeyId<'_>) -> Option<Secret> {
        self.0.find(id)
    }

    fn remember(&self, id: &KeyId<'_>, keys: Secret) {
        self.0.remember(id, keys);
    }
}

struct Connector {
    address: String,
    user: Option<String>,
    password: String,
    mechanism: String,
    keys: Keys,
    lookups: LookupMemory,
}

impl Connector {
    fn connect(&self) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        if let Some(user) = &self.user {
            self.login(&mut stream, user)?;
        }
        Ok(stream)
    }

    fn login(&self, stream: &mut TcpStream, user: &str) -> io::Result<()> {
        let mut random = OsRandom;
        let mut world =
            World { random: &mut random, keys: Some(&self.keys), salt_key: b"", lookups: &self.lookups, clock: None };
        let mut client = Client::new(&self.mechanism, authen_sasl_rust::mechanism::registry());
        client.session.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD);
        client.session.config.service = "beanstalkd".into();
        client.begin();
        let mut buffer = [0; 1024];
        loop {
            let output = client.output();
            stream.write_all(output.expose())?;
            let size = stream.read(&mut buffer)?;
            if size == 0 {
                return Err(wrong("the connection was closed while logging in"));
            }
            let mut input = &buffer[..size];
            loop {
                match client.receive(&mut input, &mut world) {
                    Event::Read => break,
                    Event::Ask => {
                        let mut values = Values::default();
                        values.push(Property::Authcid, Secret::new(user.as_bytes()));
                        values.push(Property::Password, Secret::new(self.password.as_bytes()));
                        client.answer(Answer::Values(values), &mut world);
                    }
                    Event::Done => return Ok(()),
                    Event::Failed(error) => return Err(wrong(&error.to_string())),
                }
            }
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

/// Replies of beanstalkd, read in large pieces.
struct Replies {
    buffer: Vec<u8>,
    at: usize,
}

impl Replies {
    fn new() -> Self {
        Replies { buffer: Vec::new(), at: 0 }
    }

    fn fill(&mut self, stream: &mut TcpStream) -> io::Result<()> {
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

    fn line(&mut self, stream: &mut TcpStream) -> io::Result<String> {
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
    fn body(&mut self, stream: &mut TcpStream, expected: &[u8]) -> io::Result<()> {
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
fn jobs(stream: &mut TcpStream, count: usize, depth: usize, body: &[u8]) -> io::Result<()> {
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

fn in_threads(threads: usize, work: impl Fn(usize) -> io::Result<()> + Sync) -> io::Result<()> {
    std::thread::scope(|scope| {
        let work = &work;
        let all: Vec<_> = (0..threads).map(|number| scope.spawn(move || work(number))).collect();
        all.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(wrong("a thread has panicked"))))
    })
}

fn resident(pid: &str) -> io::Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| wrong("no VmRSS"))
}

/// The time that a process has used on processors, in nanoseconds. /proc/PID/stat counts whole hundredths of a second.
fn processor_time(pid: &str) -> io::Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).ok_or_else(|| wrong("no schedstat"))?;
    }
    Ok(sum)
}

/// Sends `rate` requests a second, on all connections in turn, and reads each reply before the next request. Returns their number.
fn paced(streams: &mut [TcpStream], rate: usize, time: Duration) -> io::Result<usize> {
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

fn run(command: &str, arguments: &Arguments) -> io::Result<String> {
    let connector = Connector {
        address: arguments.text("address", "127.0.0.1:11301"),
        user: arguments.0.get("user").cloned(),
        password: arguments.text("password", ""),
        mechanism: arguments.text("mechanism", "SCRAM-SHA-256"),
        keys: Keys(Arc::new(KeyMemory::default())),
        lookups: LookupMemory::new(),
    };
    let threads = arguments.number("threads", 2);
    match command {
        "logins" => {
            let count = arguments.number("count", 20_000);
            let left = AtomicUsize::new(count);
            drop(connector.connect()?); // derives the keys once
            let begin = Instant::now();
            in_threads(threads, |_| {
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    drop(connector.connect()?);
                }
                Ok(())
            })?;
            let seconds = begin.elapsed().as_secs_f64();
            Ok(format!("logins={count} seconds={seconds:.4} per_second={:.0}", count as f64 / seconds))
        }
        "jobs" => {
            let (count, size) = (arguments.number("count", 200_000), arguments.number("size", 4096));
            let depth = arguments.number("depth", 16);
            // A body with line ends and text that looks like commands.
            let body: Vec<u8> = b"\r\nquit\r\n\0abcdefg".iter().copied().cycle().take(size).collect();
            let used = || arguments.0.get("pid").map(|pid| processor_time(pid)).transpose();
            let (begin, before) = (Instant::now(), used()?);
            in_threads(threads, |number| {
                let mut stream = connector.connect()?;
                jobs(&mut stream, count / threads + usize::from(number < count % threads), depth, &body)
            })?;
            let seconds = begin.elapsed().as_secs_f64();
            let megabytes = (2 * count * size) as f64 / 1e6 / seconds;
            let rate = count as f64 / seconds;
            let each = before.zip(used()?).map(|(before, after)| (after - before) as f64 / 1000.0 / count as f64);
            let each = each.map_or(String::new(), |each| format!(" processor_microseconds_each={each:.1}"));
            Ok(format!("jobs={count} size={size} seconds={seconds:.4} per_second={rate:.0} megabytes_per_second={megabytes:.0}{each}"))
        }
        "idle" => {
            let count = arguments.number("count", 5000);
            let pid = arguments.text("pid", "self");
            drop(connector.connect()?);
            let before = resident(&pid)?;
            let mut streams = Vec::new();
            for number in 0..count {
                streams.push(connector.connect().map_err(|error| wrong(&format!("connection {number}: {error}")))?);
            }
            for stream in &mut streams {
                jobs(stream, 1, 1, b"a job of each connection")?;
            }
            let after = resident(&pid)?;
            // All connections are still open and usable.
            for stream in &mut streams {
                jobs(stream, 1, 1, b"another job of each connection")?;
            }
            let each = after.saturating_sub(before) / count;
            Ok(format!("connections={count} resident_before={before} resident_after={after} bytes_each={each}"))
        }
        "paced" => {
            let (rate, count) = (arguments.number("rate", 100), arguments.number("connections", 1));
            let time = Duration::from_secs(arguments.number("seconds", 10) as u64);
            let pid = arguments.text("pid", "self");
            let mut streams = (0..count).map(|_| connector.connect()).collect::<io::Result<Vec<_>>>()?;
            for stream in &mut streams {
                paced(std::slice::from_mut(stream), 1_000_000, Duration::from_micros(1))?;
            }
            std::thread::sleep(Duration::from_millis(500));
            let (begin, before) = (Instant::now(), processor_time(&pid)?);
            let sent = paced(&mut streams, rate, time)?;
            let used = processor_time(&pid)? - before;
            let per_second = sent as f64 / begin.elapsed().as_secs_f64();
            let each = used as f64 / 1000.0 / sent as f64;
            Ok(format!(
                "connections={count} requests={sent} per_second={per_second:.0} processor_microseconds_each={each:.1}"
            ))
        }
        _ => Err(wrong("expected logins, jobs, idle or paced")),
    }
}

fn main() -> ExitCode {
    // With too low a limit, connections fail for another reason than the one to measure.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let pairs = words.filter_map(|word| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
    match run(&command, &Arguments(pairs.collect())) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("gate-load: {error}");
            ExitCode::FAILURE
        }
    }
}
