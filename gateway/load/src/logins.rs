//! Many logins: as fast as they go, all at once, and while the server that has the accounts is away.

use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use crate::client::{wrong, Connector, Rejection};
use crate::jobs::{jobs, paced};

/// How long a client waits between two logins during an outage, so that the load leaves room for the server's start.
const PAUSE: Duration = Duration::from_millis(5);

pub fn in_threads(threads: usize, work: impl Fn(usize) -> io::Result<()> + Sync) -> io::Result<()> {
    // Small stacks, for hundreds of threads.
    std::thread::scope(|scope| {
        let work = &work;
        let start = |number| std::thread::Builder::new().stack_size(1 << 18).spawn_scoped(scope, move || work(number));
        let all = (0..threads).map(start).collect::<io::Result<Vec<_>>>()?;
        all.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(wrong("a thread has panicked"))))
    })
}

/// Logs in `count` times, each time on a new connection.
pub fn logins(connector: &Connector, count: usize, threads: usize) -> io::Result<String> {
    let next = AtomicUsize::new(0);
    let challenges = Mutex::new(Vec::with_capacity(count));
    drop(connector.connect(0)?); // derives the keys once
    let begin = Instant::now();
    in_threads(threads, |_| {
        let mut own = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            own.push(connector.enter(number)?.challenge.as_nanos() as u64);
        }
        challenges.lock().map_err(|_| wrong("a thread has panicked"))?.append(&mut own);
        Ok(())
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    let mut challenges = challenges.into_inner().map_err(|_| wrong("a thread has panicked"))?;
    challenges.sort_unstable();
    let microseconds = |part: f64| challenges[(part * (count - 1) as f64) as usize] as f64 / 1000.0;
    Ok(format!(
        "logins={count} seconds={seconds:.4} per_second={:.0} challenge_median={:.1} challenge_p99={:.1}",
        count as f64 / seconds,
        microseconds(0.5),
        microseconds(0.99)
    ))
}

/// Has `count` clients, each of which loses its connection at the same moment and logs in again. All must be in at the first try.
pub fn herd(connector: &Connector, count: usize) -> io::Result<String> {
    let together = Barrier::new(count + 1);
    let slowest = Mutex::new(Duration::ZERO);
    let old: Vec<_> = (0..count).map(|number| connector.connect(number).map(Some)).collect::<io::Result<_>>()?;
    let old = Mutex::new(old);
    let mut seconds = 0.0;
    std::thread::scope(|scope| {
        let clients = scope.spawn(|| {
            in_threads(count, |number| {
                let lost = old.lock().map(|mut old| old[number].take());
                together.wait();
                drop(lost);
                let begin = Instant::now();
                let entry = connector.enter(number);
                let took = begin.elapsed();
                // Nobody leaves before all are in.
                together.wait();
                let mut entry = entry?;
                slowest.lock().map(|mut slowest| *slowest = took.max(*slowest)).map_err(|_| wrong("panicked"))?;
                paced(std::slice::from_mut(&mut entry.stream), 1, Duration::from_micros(1)).map(drop)
            })
        });
        together.wait();
        let begin = Instant::now();
        together.wait();
        seconds = begin.elapsed().as_secs_f64();
        clients.join().unwrap_or_else(|_| Err(wrong("a thread has panicked")))
    })?;
    let slowest = slowest.into_inner().map_err(|_| wrong("a thread has panicked"))?.as_secs_f64();
    Ok(format!("clients={count} seconds={seconds:.4} slowest={slowest:.4}"))
}

/// What has become of the logins of one kind.
#[derive(Default)]
struct Outcomes {
    entered: AtomicUsize,
    refused: AtomicUsize,
    unavailable: AtomicUsize,
}

impl Outcomes {
    fn count(&self, outcome: &Result<TcpStream, Rejection>) -> io::Result<()> {
        let counter = match outcome {
            Ok(_) => &self.entered,
            Err(Rejection::Refused) => &self.refused,
            Err(Rejection::Unavailable) => &self.unavailable,
            Err(Rejection::Broken(error)) => return Err(wrong(&error.to_string())),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn show(&self, name: &str) -> String {
        let [entered, refused, unavailable] =
            [&self.entered, &self.refused, &self.unavailable].map(|counter| counter.load(Ordering::Relaxed));
        format!("{name}_entered={entered} {name}_refused={refused} {name}_unavailable={unavailable}")
    }
}

/// Logs in until there is a line on standard input, half of the threads with a wrong password, while `held` connections stay. Then each client with
/// the right password tries until it is in, and each of the connections relays a job. Returns the outcomes, and how long the clients tried.
pub fn outage(connector: &Connector, threads: usize, held: usize) -> io::Result<String> {
    let wrong_password = connector.with_password("not the password");
    let mut stayed = (0..held).map(|number| connector.connect(number)).collect::<io::Result<Vec<_>>>()?;
    let (right, guessed) = (Outcomes::default(), Outcomes::default());
    let next = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let mut seconds = 0.0;
    let attempt = |connector: &Connector, outcomes: &Outcomes| -> io::Result<bool> {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let outcome = connector.enter(number).map(|entry| entry.stream);
        outcomes.count(&outcome)?;
        std::thread::sleep(PAUSE);
        Ok(outcome.is_ok())
    };
    std::thread::scope(|scope| {
        let clients = scope.spawn(|| {
            in_threads(threads, |thread| {
                let is_right = thread % 2 == 0;
                let (connector, outcomes) = if is_right { (connector, &right) } else { (&wrong_password, &guessed) };
                while !is_over.load(Ordering::Relaxed) {
                    attempt(connector, outcomes)?;
                }
                while is_right && !attempt(connector, outcomes)? {}
                Ok(())
            })
        });
        io::stdin().read_line(&mut String::new())?;
        let begin = Instant::now();
        is_over.store(true, Ordering::Relaxed);
        clients.join().unwrap_or_else(|_| Err(wrong("a thread has panicked")))?;
        seconds = begin.elapsed().as_secs_f64();
        Ok::<_, io::Error>(())
    })?;
    for stream in &mut stayed {
        jobs(stream, 1, 1, b"a job of a connection that has stayed")?;
    }
    Ok(format!("{} {} stayed={held} seconds={seconds:.4}", right.show("right"), guessed.show("wrong")))
}
