//! Limits per address: failures, of each user and of all together, and unauthenticated connections.

use std::collections::hash_map::RandomState;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::Limits;

/// Above this number of addresses, idle ones are forgotten; the next time when twice as many are known as were left.
const MIN_SWEEP: usize = 4096;

#[derive(Debug, Default)]
struct Entry {
    unauthenticated: usize,
    failures: u32,
    /// Failures by user. There are at most as many users as failures that count.
    users: Vec<(UserKey, u32)>,
    /// The time of the first of these failures.
    since: Option<Instant>,
}

/// A user name that a client has claimed, hashed: names are as long as strangers want. The hash has a random key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserKey(u64);

/// All addresses with unauthenticated connections or recent failures. An IPv6 address counts as its /64.
#[derive(Debug, Default)]
pub struct Throttle {
    table: Mutex<Table>,
    hash: RandomState,
}

#[derive(Debug)]
struct Table {
    entries: HashMap<IpAddr, Entry>,
    /// The number of addresses at which the next sweep is due. It grows, so that the cost per new address stays constant.
    sweep: usize,
}

impl Default for Table {
    fn default() -> Self {
        Table { entries: HashMap::new(), sweep: MIN_SWEEP }
    }
}

/// An unauthenticated connection of an address. Dropping it gives the slot back.
#[derive(Debug)]
pub struct AddressSlot {
    throttle: Arc<Throttle>,
    address: IpAddr,
}

/// Why a connection is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    TooManyFailures,
    /// Of one user from this address.
    TooManyUserFailures,
    TooManyUnauthenticated,
    /// `limits.connections` is reached.
    ConnectionLimit,
    /// `limits.unauthenticated` is reached.
    UnauthenticatedLimit,
    /// `limits.connections_per_user` is reached.
    UserLimit,
}

impl TurnedAway {
    /// The text for the log.
    pub fn text(self) -> &'static str {
        match self {
            TurnedAway::TooManyFailures => "turned away: too many failures",
            TurnedAway::TooManyUserFailures => "turned away: too many failures of this user",
            TurnedAway::TooManyUnauthenticated => "turned away: too many unauthenticated connections from this address",
            TurnedAway::ConnectionLimit => "turned away: limits.connections is reached",
            TurnedAway::UnauthenticatedLimit => "turned away: limits.unauthenticated is reached",
            TurnedAway::UserLimit => "turned away: limits.connections_per_user is reached",
        }
    }
}

impl Throttle {
    /// Takes a slot for a connection from this address. `free` is the number of slots that no connection has: one address may take
    /// at most a quarter of them, so that a few addresses cannot take all.
    pub fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        limits: &Limits,
        free: usize,
        now: Instant,
    ) -> Result<AddressSlot, TurnedAway> {
        let address = group(address);
        let mut table = self.lock();
        let window = limits.window();
        if table.entries.len() > table.sweep {
            table.entries.retain(|_, entry| entry.unauthenticated > 0 || !entry.is_over(window, now));
            table.sweep = MIN_SWEEP.max(table.entries.len().saturating_mul(2));
            let room = table.sweep;
            table.entries.shrink_to(room);
        }
        let entry = table.entries.entry(address).or_default();
        entry.forget(window, now);
        if entry.failures >= limits.failures_per_address {
            return Err(TurnedAway::TooManyFailures);
        }
        if entry.unauthenticated >= limits.unauthenticated_per_address || entry.unauthenticated > free / 4 {
            return Err(TurnedAway::TooManyUnauthenticated);
        }
        entry.unauthenticated += 1;
        Ok(AddressSlot { throttle: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // A panic cannot leave the counters inconsistent.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Whether the window of its failures has ended.
    fn is_over(&self, window: Duration, now: Instant) -> bool {
        self.since.is_none_or(|since| now.saturating_duration_since(since) >= window)
    }

    /// Forgets the failures if their window has ended.
    fn forget(&mut self, window: Duration, now: Instant) {
        if self.is_over(window, now) {
            self.failures = 0;
            self.users = Vec::new();
            self.since = None;
        }
    }

    fn failures_of(&mut self, user: UserKey, limits: &Limits) -> Option<&mut u32> {
        if let Some(at) = self.users.iter().position(|(key, _)| *key == user) {
            return self.users.get_mut(at).map(|(_, failures)| failures);
        }
        // With more, the address is blocked.
        if self.users.len() >= limits.failures_per_address as usize {
            return None;
        }
        self.users.push((user, 0));
        self.users.last_mut().map(|(_, failures)| failures)
    }
}

impl AddressSlot {
    /// The key of a name. Prepare names before, or one user has many.
    pub fn key(&self, user: &str) -> UserKey {
        UserKey(self.throttle.hash.hash_one(user))
    }

    /// Counts a failed authentication. The connection may be older than the window: a failure after its end starts a new one.
    ///
    /// Beyond its own limit, a user's failures do not count for the address: one client with a wrong password must not lock out the
    /// others behind the same address.
    pub fn failed(&self, user: Option<UserKey>, limits: &Limits, now: Instant) {
        if let Some(entry) = self.throttle.lock().entries.get_mut(&self.address) {
            entry.forget(limits.window(), now);
            entry.since.get_or_insert(now);
            if let Some(failures) = user.and_then(|user| entry.failures_of(user, limits)) {
                if *failures >= limits.failures_per_user() {
                    return;
                }
                *failures += 1;
            }
            entry.failures = entry.failures.saturating_add(1);
        }
    }

    /// Whether the address, or this user from there, has failed too often in this window.
    pub fn blocked(&self, user: Option<UserKey>, limits: &Limits, now: Instant) -> Option<TurnedAway> {
        let table = self.throttle.lock();
        let entry = table.entries.get(&self.address).filter(|entry| !entry.is_over(limits.window(), now))?;
        if entry.failures >= limits.failures_per_address {
            return Some(TurnedAway::TooManyFailures);
        }
        let (_, failures) = entry.users.iter().find(|(key, _)| Some(*key) == user)?;
        (*failures >= limits.failures_per_user()).then_some(TurnedAway::TooManyUserFailures)
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut table = self.throttle.lock();
        if let Some(entry) = table.entries.get_mut(&self.address) {
            entry.unauthenticated = entry.unauthenticated.saturating_sub(1);
            if entry.unauthenticated == 0 && entry.since.is_none() {
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

    /// Slots that no connection has.
    const FREE: usize = 10_000;

    #[test]
    fn failures_block_an_address_for_a_while() {
        let throttle = Arc::new(Throttle::default());
        let limits = Limits { failures_per_address: 2, unauthenticated_per_address: 2, ..Limits::default() };
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let now = Instant::now();
        let slot = throttle.enter(one, &limits, FREE, now).unwrap();
        let second = throttle.enter("::ffff:192.0.2.1".parse().unwrap(), &limits, FREE, now).unwrap();
        assert_eq!(throttle.enter(one, &limits, FREE, now).unwrap_err(), TurnedAway::TooManyUnauthenticated);
        drop(second);
        slot.failed(None, &limits, now);
        assert!(throttle.enter(one, &limits, FREE, now).is_ok());
        assert_eq!(slot.blocked(None, &limits, now), None);
        slot.failed(None, &limits, now);
        assert_eq!(slot.blocked(None, &limits, now), Some(TurnedAway::TooManyFailures), "while it is connected");
        assert!(slot.blocked(None, &limits, now + Duration::from_secs(limits.failure_window)).is_none());
        drop(slot);
        assert_eq!(throttle.enter(one, &limits, FREE, now).unwrap_err(), TurnedAway::TooManyFailures);
        assert!(throttle.enter(other, &limits, FREE, now).is_ok());
        let later = now + Duration::from_secs(limits.failure_window);
        assert!(throttle.enter(one, &limits, FREE, later).is_ok());
        assert!(throttle.lock().entries.is_empty());
    }

    #[test]
    fn a_few_addresses_cannot_take_all_slots() {
        let throttle = Arc::new(Throttle::default());
        let (limits, now, mut held) = (Limits::default(), Instant::now(), Vec::new());
        let mut fill = |address: &str, slots: usize| {
            let address = address.parse().unwrap();
            while let Ok(slot) = throttle.enter(address, &limits, slots - held.len(), now) {
                held.push(slot);
            }
            held.len()
        };
        for (address, taken) in [("192.0.2.1", 101), ("192.0.2.2", 181), ("192.0.2.3", 245), ("192.0.2.4", 297)] {
            assert_eq!(fill(address, 500), taken);
        }
        assert!(
            throttle.enter("192.0.2.5".parse().unwrap(), &limits, 1, now).is_ok(),
            "any address may take the last slot"
        );
    }

    /// One client with a wrong password, and its neighbours behind the same address.
    #[test]
    fn a_user_that_fails_too_often_does_not_block_the_others() {
        let throttle = Arc::new(Throttle::default());
        let limits = Limits { failures_per_address: 6, failures_per_user: Some(3), ..Limits::default() };
        let now = Instant::now();
        let slot = throttle.enter("192.0.2.1".parse().unwrap(), &limits, FREE, now).unwrap();
        let other = throttle.enter("192.0.2.2".parse().unwrap(), &limits, FREE, now).unwrap();
        let [fred, anna] = ["fred", "anna"].map(|name| Some(slot.key(name)));
        for _ in 0..100 {
            slot.failed(fred, &limits, now);
        }
        assert_eq!(slot.blocked(fred, &limits, now), Some(TurnedAway::TooManyUserFailures));
        assert_eq!([slot.blocked(anna, &limits, now), slot.blocked(None, &limits, now)], [None, None]);
        assert_eq!(other.blocked(fred, &limits, now), None, "from another address");
        assert_eq!(slot.blocked(fred, &limits, now + limits.window()), None);
        // But many users together do: someone guesses.
        slot.failed(anna, &limits, now);
        slot.failed(None, &limits, now);
        assert_eq!(slot.blocked(None, &limits, now), None);
        slot.failed(Some(slot.key("zoe")), &limits, now);
        assert_eq!(slot.blocked(None, &limits, now), Some(TurnedAway::TooManyFailures));
        for number in 0..1000 {
            slot.failed(Some(slot.key(&number.to_string())), &limits, now);
        }
        assert_eq!(throttle.lock().entries[&slot.address].users.len(), 6, "names take no more memory");
    }

    /// Connections that were opened in the first window, and guess after its end.
    #[test]
    fn failures_count_in_every_window() {
        let throttle = Arc::new(Throttle::default());
        let limits = Limits { failures_per_address: 3, ..Limits::default() };
        let begin = Instant::now();
        let slots: Vec<_> =
            (0..4).map(|_| throttle.enter("192.0.2.1".parse().unwrap(), &limits, FREE, begin).unwrap()).collect();
        slots[0].failed(None, &limits, begin);
        for window in 1..5 {
            let now = begin + limits.window() * window;
            let counted = (0..750).filter(|number| {
                let slot = &slots[number % slots.len()];
                let is_counted = slot.blocked(None, &limits, now).is_none();
                if is_counted {
                    slot.failed(None, &limits, now);
                }
                is_counted
            });
            assert_eq!(counted.count(), 3, "window {window}");
        }
    }

    /// Addresses that have failed cannot be forgotten yet; the cost of a new address does not grow with their number.
    #[test]
    fn sweeps_are_rare_and_forget() {
        let throttle = Arc::new(Throttle::default());
        let (limits, now) = (Limits::default(), Instant::now());
        let mut sweeps = 0;
        for number in 0..100_000_u32 {
            let before = throttle.lock().sweep;
            throttle.enter(IpAddr::V4(number.into()), &limits, FREE, now).unwrap().failed(None, &limits, now);
            sweeps += u32::from(throttle.lock().sweep != before);
        }
        assert!((1..10).contains(&sweeps), "{sweeps}");
        assert_eq!(throttle.lock().entries.len(), 100_000);
        let later = now + Duration::from_secs(limits.failure_window);
        let enter = |number: u32| throttle.enter(IpAddr::V4((1 << 24 | number).into()), &limits, FREE, later).unwrap();
        let kept: Vec<_> = (0..100_000).map(enter).collect();
        assert_eq!(throttle.lock().entries.len(), kept.len(), "the old ones are forgotten");
    }

    #[test]
    fn ipv6_counts_by_network() {
        let group_of = |text: &str| group(text.parse().unwrap());
        assert_eq!(group_of("2001:db8::1"), group_of("2001:db8::ffff:1"));
        assert_ne!(group_of("2001:db8::1"), group_of("2001:db8:0:1::1"));
    }
}
