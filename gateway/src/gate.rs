//! What all connections share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use authen_sasl_rust::contract::World;
use authen_sasl_rust::world::{LookupMemory, OsRandom};
use tokio::sync::Semaphore;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::accounts::Accounts;
use crate::gauges::Gauges;
use crate::settings::Settings;
use crate::throttle::Throttle;
use crate::tls;

/// A configuration with all that its files hold; a reload makes a new one.
pub struct Live {
    pub settings: Settings,
    pub accounts: Accounts,
    pub tls: Option<TlsAcceptor>,
    pub backend_tls: Option<TlsConnector>,
    /// What is offered, as far as the accounts allow.
    pub mechanisms: String,
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
        let tls = match (&settings.tls.certificate, &settings.tls.key) {
            (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key, &settings.tls)?),
            (None, None) => None,
            _ => return Err("a certificate and its key belong together".into()),
        };
        let backend_tls = settings.backend_tls.ca.as_deref().map(tls::connector).transpose()?;
        Ok(Live { settings, accounts, tls, backend_tls, mechanisms, lookups: LookupMemory::new() })
    }

    /// Lends the core its world, for one call.
    pub fn with_world<R>(&self, call: impl FnOnce(&mut World<'_>) -> R) -> R {
        call(&mut World {
            random: &mut OsRandom,
            keys: None,
            // Stored keys of unknown users come from the accounts, with their salts.
            salt_key: b"",
            lookups: &self.lookups,
        })
    }
}

/// The gateway.
pub struct Gate {
    live: RwLock<Arc<Live>>,
    pub throttle: Arc<Throttle>,
    pub gauges: Gauges,
    seats: AtomicUsize,
    /// Key derivations at once: one for each thread, so that passwords do not starve the relays.
    pub derivations: Arc<Semaphore>,
}

impl Gate {
    pub fn new(live: Live, threads: usize) -> Self {
        Gate {
            live: RwLock::new(Arc::new(live)),
            throttle: Arc::default(),
            gauges: Gauges::default(),
            seats: AtomicUsize::new(0),
            derivations: Arc::new(Semaphore::new(threads)),
        }
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.seats.load(Ordering::Relaxed)
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

/// One of the `limits.connections` that a gateway has at once; given back when dropped.
pub struct Seat(pub Arc<Gate>);

impl Seat {
    /// `None` if all are taken.
    pub fn take(gate: &Arc<Gate>) -> Option<Self> {
        let limit = gate.live().settings.limits.connections;
        let free = |taken: usize| (taken < limit).then_some(taken + 1);
        gate.seats.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok().map(|_| Seat(gate.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.seats.fetch_sub(1, Ordering::Relaxed);
    }
}
