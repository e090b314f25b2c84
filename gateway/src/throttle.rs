//! Limits for each address: failures, and connections that are not authenticated yet.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::settings::Limits;

/// Above so many addresses, those without any business are forgotten; then again when there are twice as many as were left.
const SWEEP: usize = 4096;

#[derive(Debug, Default)]
struct Entry {
    waiting: usize,
    failures: u32,
    /// When the first of these failures was.
    since: Option<Instant>,
}

/// Every address that has business with the gateway. An IPv6 address counts as its /64.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Table>);

#[derive(Debug)]
struct Table {
    entries: HashMap<IpAddr, Entry>,
    /// How many there are when the next sweep is due, so that each newcomer pays for a few of the others and not for all.
    sweep: usize,
}

impl Default for Table {
    fn default() -> Self {
        Table { entries: HashMap::new(), sweep: SWEEP }
    }
}

/// A place among the connections of an address that are not authenticated; given back when dropped.
#[derive(Debug)]
pub struct Place {
    throttle: Arc<Throttle>,
    address: IpAddr,
}

/// Why an address is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    TooManyFailures,
    TooManyWaiting,
    /// There are `limits.connections`.
    NoSeat,
    /// There are `limits.unauthenticated`.
    NoSeatForStrangers,
}

impl TurnedAway {
    /// The reason, for the log.
    pub fn text(self) -> &'static str {
        match self {
            TurnedAway::TooManyFailures => "turned away: too many failures",
            TurnedAway::TooManyWaiting => "turned away: too many waiting connections of this address",
            TurnedAway::NoSeat => "turned away: limits.connections is reached",
            TurnedAway::NoSeatForStrangers => "turned away: limits.unauthenticated is reached",
        }
    }
}

impl Throttle {
    /// Gives a connection of this address its place, if it may have one. `free` are the places that nobody has: one address
    /// holds no more than a quarter of them, so that a few addresses cannot take all.
    pub fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        limits: &Limits,
        free: usize,
        now: Instant,
    ) -> Result<Place, TurnedAway> {
        let address = group(address);
        let mut table = self.lock();
        let window = limits.window();
        if table.entries.len() > table.sweep {
            table.entries.retain(|_, entry| entry.waiting > 0 || !entry.is_over(window, now));
            table.sweep = SWEEP.max(table.entries.len().saturating_mul(2));
            let room = table.sweep;
            table.entries.shrink_to(room);
        }
        let entry = table.entries.entry(address).or_default();
        entry.forget(window, now);
        if entry.failures >= limits.failures_per_address {
            return Err(TurnedAway::TooManyFailures);
        }
        if entry.waiting >= limits.unauthenticated_per_address || entry.waiting > free / 4 {
            return Err(TurnedAway::TooManyWaiting);
        }
        entry.waiting += 1;
        Ok(Place { throttle: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Counters are whole after any of the lines above.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_over(&self, window: Duration, now: Instant) -> bool {
        self.since.is_none_or(|since| now.saturating_duration_since(since) >= window)
    }

    /// Forgets the failures of a window that is over.
    fn forget(&mut self, window: Duration, now: Instant) {
        if self.is_over(window, now) {
            self.failures = 0;
            self.since = None;
        }
    }
}

impl Place {
    /// This address has failed to authenticate. The connection may be older than the window: a failure after its end begins
    /// another one.
    pub fn failed(&self, limits: &Limits, now: Instant) {
        if let Some(entry) = self.throttle.lock().entries.get_mut(&self.address) {
            entry.forget(limits.window(), now);
            entry.failures = entry.failures.saturating_add(1);
            entry.since.get_or_insert(now);
        }
    }

    /// Whether the address has failed too often since it was let in.
    pub fn is_shut_out(&self, limits: &Limits, now: Instant) -> bool {
        let window = limits.window();
        let is_out = |entry: &Entry| entry.failures >= limits.failures_per_address && !entry.is_over(window, now);
        self.throttle.lock().entries.get(&self.address).is_some_and(is_out)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.throttle.lock();
        if let Some(entry) = table.entries.get_mut(&self.address) {
            entry.waiting = entry.waiting.saturating_sub(1);
            if entry.waiting == 0 && entry.since.is_none() {
                table.entries.remove(&self.address);
            }
        }
    }
}

fn group(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => four.into(),
            None => IpAddr::V6((u128::from(six) & !u128::from(u64::MAX)).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places that nobody has.
    const FREE: usize = 10_000;

    #[test]
    fn failures_shut_an_address_out_for_a_while() {
        let throttle = Arc::new(Throttle::default());
        let limits = Limits { failures_per_address: 2, unauthenticated_per_address: 2, ..Limits::default() };
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let now = Instant::now();
        let place = throttle.enter(one, &limits, FREE, now).unwrap();
        let second = throttle.enter("::ffff:192.0.2.1".parse().unwrap(), &limits, FREE, now).unwrap();
        assert_eq!(throttle.enter(one, &limits, FREE, now).unwrap_err(), TurnedAway::TooManyWaiting);
        drop(second);
        place.failed(&limits, now);
        assert!(throttle.enter(one, &limits, FREE, now).is_ok());
        assert!(!place.is_shut_out(&limits, now));
        place.failed(&limits, now);
        assert!(place.is_shut_out(&limits, now), "while it is in");
        assert!(!place.is_shut_out(&limits, now + Duration::from_secs(limits.failure_window)));
        drop(place);
        assert_eq!(throttle.enter(one, &limits, FREE, now).unwrap_err(), TurnedAway::TooManyFailures);
        assert!(throttle.enter(other, &limits, FREE, now).is_ok());
        let later = now + Duration::from_secs(limits.failure_window);
        assert!(throttle.enter(one, &limits, FREE, later).is_ok());
        assert!(throttle.lock().entries.is_empty());
    }

    #[test]
    fn a_few_addresses_cannot_take_all_places() {
        let throttle = Arc::new(Throttle::default());
        let (limits, now, mut held) = (Limits::default(), Instant::now(), Vec::new());
        let mut fill = |address: &str, places: usize| {
            let address = address.parse().unwrap();
            while let Ok(place) = throttle.enter(address, &limits, places - held.len(), now) {
                held.push(place);
            }
            held.len()
        };
        for (address, taken) in [("192.0.2.1", 101), ("192.0.2.2", 181), ("192.0.2.3", 245), ("192.0.2.4", 297)] {
            assert_eq!(fill(address, 500), taken);
        }
        assert!(throttle.enter("192.0.2.5".parse().unwrap(), &limits, 1, now).is_ok(), "the last place is anybody's");
    }

    /// Connections that were there before the first window ended, and guess after it.
    #[test]
    fn failures_count_in_every_window() {
        let throttle = Arc::new(Throttle::default());
        let limits = Limits { failures_per_address: 3, ..Limits::default() };
        let begin = Instant::now();
        let places: Vec<_> =
            (0..4).map(|_| throttle.enter("192.0.2.1".parse().unwrap(), &limits, FREE, begin).unwrap()).collect();
        places[0].failed(&limits, begin);
        for window in 1..5 {
            let now = begin + limits.window() * window;
            let judged = (0..750).filter(|number| {
                let place = &places[number % places.len()];
                let is_judged = !place.is_shut_out(&limits, now);
                if is_judged {
                    place.failed(&limits, now);
                }
                is_judged
            });
            assert_eq!(judged.count(), 3, "window {window}");
        }
    }

    /// Many addresses that have failed cannot be forgotten yet: what a newcomer costs does not grow with them.
    #[test]
    fn sweeps_are_rare_and_forget() {
        let throttle = Arc::new(Throttle::default());
        let (limits, now) = (Limits::default(), Instant::now());
        let mut sweeps = 0;
        for number in 0..100_000_u32 {
            let before = throttle.lock().sweep;
            throttle.enter(IpAddr::V4(number.into()), &limits, FREE, now).unwrap().failed(&limits, now);
            sweeps += u32::from(throttle.lock().sweep != before);
        }
        assert!((1..10).contains(&sweeps), "{sweeps}");
        assert_eq!(throttle.lock().entries.len(), 100_000);
        let later = now + Duration::from_secs(limits.failure_window);
        let enter = |number: u32| throttle.enter(IpAddr::V4((1 << 24 | number).into()), &limits, FREE, later).unwrap();
        let kept: Vec<_> = (0..100_000).map(enter).collect();
        assert_eq!(throttle.lock().entries.len(), kept.len(), "those of before are forgotten");
    }

    #[test]
    fn ipv6_counts_by_network() {
        let group_of = |text: &str| group(text.parse().unwrap());
        assert_eq!(group_of("2001:db8::1"), group_of("2001:db8::ffff:1"));
        assert_ne!(group_of("2001:db8::1"), group_of("2001:db8:0:1::1"));
    }
}
