//! Puts load on a gateway, or on a beanstalkd without one, and prints measurements.
//!
//!     gate-load logins  address=127.0.0.1:11301 user=fred password=pencil count=20000 threads=4
//!     gate-load jobs    address=127.0.0.1:11301 user=fred password=pencil count=200000 size=4096 threads=2 depth=16
//!     gate-load herd    address=127.0.0.1:11301 user=user- users=1500 password=pencil count=1500
//!     gate-load outage  address=127.0.0.1:11301 user=user- users=1000 password=pencil threads=4 held=100
//!     gate-load idle    address=127.0.0.1:11301 user=fred password=pencil count=5000 pid=PID-OF-THE-GATEWAY
//!     gate-load paced   address=127.0.0.1:11301 user=fred password=pencil rate=100 seconds=10 connections=1000 pid=PID-OF-THE-GATEWAY
//!     gate-load jobs    address=127.0.0.1:11300 count=200000        without user: no AUTH, directly to beanstalkd
//!
//! Several addresses are separated by commas, and used in turn. With `users` there is a number after the user's name, up to that one. All of
//! these users must have the same verifier.
//!
//! Each command prints one line of key=value words, and fails at the first wrong reply.
//!
//! | floor | files | what |
//! |---|---|---|
//! | 3 | `logins.rs` | logins by the thousand |
//! | 2 | `jobs.rs`, `process.rs` | jobs over a connection that is logged in; what the kernel says of a process |
//! | 1 | `client.rs` | one connection |

mod client;
mod jobs;
mod logins;
mod process;

use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use client::{wrong, Connector};
use jobs::{jobs, paced};
use logins::{herd, in_threads, logins, outage};
use process::{kernel_memory, processor_time, resident};

struct Arguments(HashMap<String, String>);

impl Arguments {
    fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| default.into())
    }

    fn number(&self, name: &str, default: usize) -> usize {
        self.0.get(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: expected a number")))
    }
}

fn run(command: &str, arguments: &Arguments) -> io::Result<String> {
    let connector = Connector::new(
        &arguments.text("address", "127.0.0.1:11301"),
        arguments.0.get("user").cloned(),
        arguments.number("users", 0),
        arguments.text("password", ""),
        arguments.text("mechanism", "SCRAM-SHA-256"),
    );
    let threads = arguments.number("threads", 2);
    match command {
        "logins" => logins(&connector, arguments.number("count", 20_000), threads),
        "herd" => herd(&connector, arguments.number("count", 1500)),
        "outage" => outage(&connector, threads, arguments.number("held", 100)),
        "jobs" => {
            let (count, size) = (arguments.number("count", 200_000), arguments.number("size", 4096));
            let depth = arguments.number("depth", 16);
            // A body with line ends and text that looks like commands.
            let body: Vec<u8> = b"\r\nquit\r\n\0abcdefg".iter().copied().cycle().take(size).collect();
            let used = || arguments.0.get("pid").map(|pid| processor_time(pid)).transpose();
            let (begin, before) = (Instant::now(), used()?);
            in_threads(threads, |number| {
                let mut stream = connector.connect(number)?;
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
            drop(connector.connect(0)?);
            let (before, kernel_before) = (resident(&pid)?, kernel_memory()?);
            let mut streams = Vec::new();
            for number in 0..count {
                streams
                    .push(connector.connect(number).map_err(|error| wrong(&format!("connection {number}: {error}")))?);
            }
            for stream in &mut streams {
                jobs(stream, 1, 1, b"a job of each connection")?;
            }
            let (after, kernel_after) = (resident(&pid)?, kernel_memory()?);
            // All connections are still open and usable.
            for stream in &mut streams {
                jobs(stream, 1, 1, b"another job of each connection")?;
            }
            let each = after.saturating_sub(before) / count;
            // Two of a connection's four ends are the gateway's; the others are on this machine too.
            let kernel = kernel_after.saturating_sub(kernel_before) / count / 2;
            Ok(format!(
                "connections={count} resident_before={before} resident_after={after} bytes_each={each} kernel_bytes_each={kernel}"
            ))
        }
        "paced" => {
            let (rate, count) = (arguments.number("rate", 100), arguments.number("connections", 1));
            let time = Duration::from_secs(arguments.number("seconds", 10) as u64);
            let pid = arguments.text("pid", "self");
            let mut streams = (0..count).map(|number| connector.connect(number)).collect::<io::Result<Vec<_>>>()?;
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
        _ => Err(wrong("expected logins, herd, outage, jobs, idle or paced")),
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
