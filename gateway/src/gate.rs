//! What all connections share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use authen_sasl_rust::contract::World;
use authen_sasl_rust::secret::wiping_stack;
use authen_sasl_rust::world::{LookupMemory, OsRandom};
use tokio::sync::Semaphore;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::warn;

use crate::accounts::Accounts;
use crate::gauges::{count, Gauges};
use crate::settings::Settings;
use crate::sparse::Sparse;
use crate::throttle::{Throttle, TurnedAway};
use crate::tls;

/// A configuration with all that its files hold; a reload makes a new one.
pub struct Live {
    pub settings: Settings,
    pub accounts: Accounts,
    pub tls: Option<TlsAcceptor>,
    pub backend_tls: Option<TlsConnector>,
    /// What is offered, as far as the accounts allow.
    pub mechanisms: String,
    /// What is wrong with files that can be used all the same.
    pub flaws: Vec<String>,
    lookups: LookupMemory,
}

impl Live {
    /// Reads everything that the settings name.
    pub fn load(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        let accounts = Accounts::read(&settings)?;
        let mechanisms = accounts.usable(&settings.mechanisms);
        if mechanisms.is_empty() {
            return Err(format!("nobody can use any of the mechanisms {}", settings.mechanisms));
        }
        let mut flaws = Vec::new();
        let tls = match (&settings.tls.certificate, &settings.tls.key) {
            (Some(certificate), Some(key)) => {
                flaws = tls::flaws(certificate, SystemTime::now())?;
                Some(tls::acceptor(certificate, key, &settings.tls)?)
            }
            (None, None) => None,
            _ => return Err("a certificate and its key belong together".into()),
        };
        let backend_tls = settings.backend_tls.ca.as_deref().map(tls::connector).transpose()?;
        Ok(Live { settings, accounts, tls, backend_tls, mechanisms, flaws, lookups: LookupMemory::new() })
    }

    /// Logs what is wrong with files that are used all the same.
    pub fn warn(&self) {
        for flaw in &self.flaws {
            warn!("{flaw}");
        }
    }

    /// Lends the core its world, for one call, which leaves no secret on the stack.
    pub fn with_world<R>(&self, call: impl FnOnce(&mut World<'_>) -> R) -> R {
        wiping_stack(|| {
            call(&mut World {
                random: &mut OsRandom,
                keys: None,
                // Stored keys of unknown users come from the accounts, with their salts.
                salt_key: b"",
                lookups: &self.lookups,
            })
        })
    }
}

/// The gateway.
pub struct Gate {
    live: RwLock<Arc<Live>>,
    pub throttle: Arc<Throttle>,
    pub gauges: Gauges,
    seats: AtomicUsize,
    /// How many of them are not authenticated yet.
    strangers: AtomicUsize,
    turned_away: [Sparse; 4],
    /// Key derivations at once: one for each thread, so that passwords do not starve the relays.
    pub derivations: Arc<Semaphore>,
}

impl Gate {
    /// `dropped` counts the lines that the log has dropped.
    pub fn new(live: Live, threads: usize, dropped: Arc<AtomicU64>) -> Self {
        Gate {
            live: RwLock::new(Arc::new(live)),
            throttle: Arc::default(),
            gauges: Gauges { log_lines_dropped: dropped, ..Gauges::default() },
            seats: AtomicUsize::new(0),
            strangers: AtomicUsize::new(0),
            turned_away: Default::default(),
            derivations: Arc::new(Semaphore::new(threads)),
        }
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.seats.load(Ordering::Relaxed)
    }

    /// How many connections may still come that are not authenticated.
    pub fn free(&self) -> usize {
        let limit = self.live().settings.limits.unauthenticated();
        limit.saturating_sub(self.strangers.load(Ordering::Relaxed))
    }

    /// How many connections are not authenticated.
    pub fn strangers(&self) -> usize {
        self.strangers.load(Ordering::Relaxed)
    }

    /// Counts a connection that is turned away, and logs it unless too many are.
    pub fn turn_away(&self, peer: &str, reason: TurnedAway) {
        count(&self.gauges.turned_away);
        if let Some(unlogged) = self.turned_away[reason as usize].next(Instant::now()) {
            warn!(peer, unlogged = (unlogged > 0).then_some(unlogged), "{}", reason.text());
        }
    }

    /// The configuration of this moment.
    pub fn live(&self) -> Arc<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// New connections get this one; those that are there keep theirs.
    pub fn replace(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }
}

/// One of the `limits.connections` that a gateway has at once, and one of the `limits.unauthenticated` until its client is
/// authenticated; given back when dropped.
pub struct Seat {
    pub gate: Arc<Gate>,
    is_strangers: bool,
}

impl Seat {
    /// Takes one, if there is one for a client that nobody knows yet.
    pub fn take(gate: &Arc<Gate>) -> Result<Self, TurnedAway> {
        let live = gate.live();
        let limits = &live.settings.limits;
        if !taken(&gate.seats, limits.connections) {
            return Err(TurnedAway::NoSeat);
        }
        // Dropped if there is none of the other kind.
        let mut seat = Seat { gate: gate.clone(), is_strangers: false };
        seat.is_strangers = taken(&gate.strangers, limits.unauthenticated());
        if seat.is_strangers {
            Ok(seat)
        } else {
            Err(TurnedAway::NoSeatForStrangers)
        }
    }

    /// Its client is authenticated: it takes none of the others' seats any more.
    pub fn authenticated(&mut self) {
        if std::mem::take(&mut self.is_strangers) {
            self.gate.strangers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Takes one of so many.
fn taken(counter: &AtomicUsize, limit: usize) -> bool {
    let free = |taken: usize| (taken < limit).then_some(taken + 1);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).is_ok()
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.authenticated();
        self.gate.seats.fetch_sub(1, Ordering::Relaxed);
    }
}
