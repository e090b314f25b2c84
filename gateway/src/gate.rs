//! What all connections share.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use authen_sasl_account_servers::Answer as Found;
use authen_sasl_rust::contract::World;
use authen_sasl_rust::secret::wiping_stack;
use authen_sasl_rust::store::keys::KeyMemory;
use authen_sasl_rust::world::{LookupMemory, OsRandom};
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::{error, info, warn};

use crate::access::backend_of;
use crate::account_server::AccountServer;
use crate::accounts::{Accounts, Standing};
use crate::credentials::BackendLogin;
use crate::end_reason::EndReason;
use crate::files::Stamp;
use crate::identity::CertificateId;
use crate::log_limit::LogLimit;
use crate::metrics::{count, Metrics, Now};
use crate::sessions::{About, Proof, Session, Sessions};
use crate::settings::{Role, Settings};
use crate::throttle::{Throttle, TurnedAway};
use crate::tls;

/// A configuration with the contents of its files. A reload makes a new one.
pub struct LiveConfig {
    pub settings: Settings,
    pub accounts: Accounts,
    pub tls: Option<TlsAcceptor>,
    pub backend_tls: Option<TlsConnector>,
    /// The mechanisms to offer: those configured that at least one account can use.
    pub mechanisms: String,
    /// What is wrong with files that are usable nevertheless.
    pub warnings: Vec<String>,
    /// The client certificates that are revoked.
    revoked: HashSet<CertificateId>,
    /// The account files as they were before they were read.
    stamps: Vec<Option<Stamp>>,
    /// The files with certificates, and when the first one of each expires.
    certificates: Vec<(String, u64)>,
    lookups: LookupMemory,
    /// The keys that were derived for the logins to the backends.
    keys: KeyMemory,
}

impl LiveConfig {
    /// Checks the settings, and loads all files that they name.
    pub fn load(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        let stamps = settings.stamps();
        let accounts = Accounts::read(&settings)?;
        let mechanisms = accounts.usable(settings.mechanisms());
        if mechanisms.is_empty() && settings.role == Role::Gate {
            return Err(format!("no account can use any of the mechanisms {}", settings.mechanisms()));
        }
        let mut warnings = Vec::new();
        let tls = match (&settings.tls.certificate, &settings.tls.key) {
            (Some(certificate), Some(key)) => {
                warnings = tls::warnings(certificate, SystemTime::now())?;
                Some(tls::acceptor(certificate, key, &settings.tls)?)
            }
            (None, None) => None,
            _ => return Err("tls.certificate and tls.key must be set together".into()),
        };
        let revoked = settings.tls.client_revoked.as_deref().map_or(Ok(HashSet::new()), tls::revoked)?;
        let connector = |ca| tls::connector(ca, &settings.backend_tls);
        let backend_tls = settings.backend_tls.ca.as_deref().map(connector).transpose()?;
        if let Some(certificate) = &settings.backend_tls.certificate {
            warnings.extend(tls::warnings(certificate, SystemTime::now())?);
        }
        // Each login reads these files again; here they are only checked.
        settings.backend_login.as_ref().map(BackendLogin::read).transpose()?;
        let (lookups, keys) = (LookupMemory::new(), KeyMemory::new());
        let (own, to_backends) = (&settings.tls, &settings.backend_tls);
        let certificates = [&own.certificate, &own.client_ca, &to_backends.certificate, &to_backends.ca]
            .into_iter()
            .flatten()
            .filter_map(|path| Some((path.display().to_string(), tls::expiry(path)?)));
        let certificates: BTreeMap<_, _> = certificates.collect();
        Ok(LiveConfig {
            settings,
            accounts,
            tls,
            backend_tls,
            mechanisms,
            warnings,
            revoked,
            stamps,
            certificates: certificates.into_iter().collect(),
            lookups,
            keys,
        })
    }

    pub fn log_warnings(&self) {
        for warning in &self.warnings {
            warn!("{warning}");
        }
    }

    /// The account files as they are now, if they are not those that were read.
    pub fn changed_stamps(&self) -> Option<Vec<Option<Stamp>>> {
        Some(self.settings.stamps()).filter(|stamps| *stamps != self.stamps)
    }

    /// Why a session must end, if its client could not log in as it did. `found` is what an account server has answered.
    pub fn rejection(&self, session: &Session, found: Option<&Found>, now: SystemTime) -> Option<EndReason> {
        let (user, about) = (&*session.user, &session.about);
        let standing = self.accounts.standing(user, found);
        let groups = match (&about.proof, found) {
            (Proof::Grant(grant), _) => Some(&*grant.groups),
            (Proof::Verifier | Proof::Password, Some(Ok(account))) => {
                Some(account.as_ref().map_or(&[][..], |account| &account.groups))
            }
            (Proof::Verifier | Proof::Password, _) if standing == Standing::Unclear => None,
            _ => Some(&[][..]),
        };
        if about.certificates.iter().any(|one| self.revoked.contains(one)) {
            return Some(EndReason::CertificateRevoked);
        }
        if !self.accounts.holds(user, &about.proof, standing, now) {
            let is_token = matches!(about.proof, Proof::Token(_) | Proof::Grant(_));
            return Some(if is_token { EndReason::TokenInvalid } else { EndReason::NoUser });
        }
        let unix_users = &self.settings.unix_users;
        let is_known = match about.proof {
            Proof::UserId(uid) => unix_users.get(&uid.to_string()).is_some_and(|name| name == user),
            Proof::Certificate => self.settings.tls.client_ca.is_some(),
            _ => true,
        };
        if !is_known || self.accounts.keeps_out(standing).is_some() {
            return Some(EndReason::NoUser);
        }
        // Of which groups the user is, only the server knows.
        let backend = backend_of(&self.settings.access, user, groups?, about.peer.address);
        (backend != Some(&*about.backend)).then_some(EndReason::NoAccess)
    }

    /// Lends the core its world for one call, and wipes the stack that the call used.
    pub fn with_world<R>(&self, call: impl FnOnce(&mut World<'_>) -> R) -> R {
        wiping_stack(|| call(&mut World { lookups: &self.lookups, ..World::of_process(&mut OsRandom, None) }))
    }

    /// The same for the gateway's own login to a backend.
    pub fn with_client_world<R>(&self, call: impl FnOnce(&mut World<'_>) -> R) -> R {
        wiping_stack(|| call(&mut World::of_process(&mut OsRandom, Some(&self.keys))))
    }

    /// What it serves, for `--check`.
    pub fn summary(&self) -> String {
        match (&self.settings.role, &self.settings.backend_login) {
            (Role::Connect, Some(login)) => format!("mechanisms {}", login.mechanisms()),
            _ => match self.accounts.server() {
                Some(server) => format!("accounts in {}, mechanisms {}", server.kind, self.mechanisms),
                None => format!("{} users, mechanisms {}", self.accounts.count().unwrap_or(0), self.mechanisms),
            },
        }
    }

    /// Asks the account server whether it can be asked. Waits for the answer.
    pub fn probe(&self) -> Result<(), String> {
        let probe =
            |server: &AccountServer| server.store.probe_blocking().map_err(|error| format!("{}: {error}", server.kind));
        self.accounts.server().map_or(Ok(()), probe)
    }

    /// The same at the start and after a reload: the log tells what is wrong. Logins may work later.
    fn probe_later(&self) {
        if let Some(server) = self.accounts.server() {
            let (probed, kind) = (server.store.probe(), server.kind);
            tokio::spawn(async move {
                if let Err(error) = probed.await {
                    error!(%error, "{kind}: accounts cannot be looked up");
                }
            });
        }
    }

    fn count_into(&self, metrics: &Metrics) {
        if let Some(server) = self.accounts.server() {
            server.store.count_into(&metrics.store);
        }
    }

    /// Logs that it serves now.
    pub fn log_as(&self, event: &str) {
        match (&self.settings.role, &self.settings.backend_login) {
            (Role::Connect, Some(login)) => info!(mechanisms = login.mechanisms(), "{event}"),
            _ => {
                let accounts = self.accounts.server().map(|server| server.kind);
                info!(users = self.accounts.count(), accounts, mechanisms = self.mechanisms, "{event}");
                self.probe_later();
            }
        }
    }
}

/// What all connections share.
pub struct Gate {
    live: RwLock<Arc<LiveConfig>>,
    pub throttle: Arc<Throttle>,
    pub metrics: Metrics,
    /// The number of connections.
    connections: AtomicUsize,
    /// The number of connections that are not authenticated yet.
    unauthenticated: AtomicUsize,
    turned_away: [LogLimit; 6],
    /// Logins that failed because the accounts could not be asked.
    pub unavailable: LogLimit,
    pub sessions: Sessions,
    /// Asks for a look at all sessions: the configuration has changed.
    pub recheck: Notify,
    /// A users' file has got a stronger verifier.
    pub users_changed: Notify,
    /// One stronger verifier is stored at a time.
    pub upgrades: Semaphore,
    /// Those that could not be stored.
    pub not_stored: LogLimit,
    /// Limits concurrent key derivations to one per thread, so that passwords do not starve the relays.
    pub derivations: Arc<Semaphore>,
}

impl Gate {
    /// `dropped` is the counter of dropped log lines.
    pub fn new(live: LiveConfig, threads: usize, dropped: Arc<AtomicU64>) -> Self {
        let metrics = Metrics { log_lines_dropped: dropped, ..Metrics::default() };
        live.count_into(&metrics);
        Gate {
            live: RwLock::new(Arc::new(live)),
            throttle: Arc::default(),
            metrics,
            connections: AtomicUsize::new(0),
            unauthenticated: AtomicUsize::new(0),
            turned_away: Default::default(),
            unavailable: LogLimit::default(),
            sessions: Sessions::default(),
            recheck: Notify::new(),
            users_changed: Notify::new(),
            upgrades: Semaphore::new(1),
            not_stored: LogLimit::default(),
            derivations: Arc::new(Semaphore::new(threads)),
        }
    }

    /// The number of connections.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The metrics for a scraper.
    pub fn metrics_text(&self) -> String {
        let live = self.live();
        self.metrics.text(&Now { unauthenticated: self.unauthenticated(), certificates: &live.certificates })
    }

    /// How many more unauthenticated connections fit under `limits.unauthenticated`.
    pub fn free(&self) -> usize {
        let limit = self.live().settings.limits.unauthenticated();
        limit.saturating_sub(self.unauthenticated.load(Ordering::Relaxed))
    }

    /// The number of connections that are not authenticated yet.
    pub fn unauthenticated(&self) -> usize {
        self.unauthenticated.load(Ordering::Relaxed)
    }

    /// Counts a connection that is turned away, and logs it unless there are too many.
    pub fn turn_away(&self, peer: &str, reason: TurnedAway) {
        count(&self.metrics.turned_away);
        self.log_turned_away(peer, None, reason);
    }

    /// The same for an authenticated client whose user has too many connections.
    pub fn turn_away_user(&self, peer: &str, user: &str) {
        count(&self.metrics.user_limit);
        self.log_turned_away(peer, Some(user), TurnedAway::UserLimit);
    }

    fn log_turned_away(&self, peer: &str, user: Option<&str>, reason: TurnedAway) {
        if let Some(unlogged) = self.turned_away[reason as usize].admit(Instant::now()) {
            let user = user.map(tracing::field::debug);
            warn!(peer, user, unlogged = (unlogged > 0).then_some(unlogged), "{}", reason.text());
        }
    }

    /// The current configuration.
    pub fn live(&self) -> Arc<LiveConfig> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the configuration for new connections. Existing ones keep theirs, unless their clients may not stay.
    pub fn replace(&self, live: LiveConfig) {
        live.count_into(&self.metrics);
        live.accounts.inherit(&self.live().accounts);
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
        self.recheck.notify_one();
    }
}

/// A connection's share of `limits.connections`, of `limits.unauthenticated` until its client is authenticated, and its session after
/// that. Dropping it gives all back.
pub struct ConnectionSlot {
    pub gate: Arc<Gate>,
    counts_as_unauthenticated: bool,
    session: Option<Arc<Session>>,
}

impl ConnectionSlot {
    /// Takes a slot for a client that is not authenticated yet.
    pub fn take(gate: &Arc<Gate>) -> Result<Self, TurnedAway> {
        let live = gate.live();
        let limits = &live.settings.limits;
        if !try_increment(&gate.connections, limits.connections) {
            return Err(TurnedAway::ConnectionLimit);
        }
        // If the other limit is reached, dropping this gives the connection back.
        let mut slot = ConnectionSlot { gate: gate.clone(), counts_as_unauthenticated: false, session: None };
        slot.counts_as_unauthenticated = try_increment(&gate.unauthenticated, limits.unauthenticated());
        if slot.counts_as_unauthenticated {
            Ok(slot)
        } else {
            Err(TurnedAway::UnauthenticatedLimit)
        }
    }

    /// Opens the session of a client; `None` if its user has too many.
    pub fn open_session(&mut self, user: &str, limit: usize, about: About) -> Option<Arc<Session>> {
        self.session = self.gate.sessions.open(user, limit, about);
        self.session.clone()
    }

    /// Closes the session, which is then no longer listed.
    pub fn close_session(&mut self) {
        if let Some(session) = self.session.take() {
            self.gate.sessions.close(&session);
        }
    }

    /// Notes that the client is authenticated: the connection no longer counts as unauthenticated.
    pub fn authenticated(&mut self) {
        if std::mem::take(&mut self.counts_as_unauthenticated) {
            self.gate.unauthenticated.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Adds one, unless the counter has reached the limit.
fn try_increment(counter: &AtomicUsize, limit: usize) -> bool {
    let next = |count: usize| (count < limit).then_some(count + 1);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.authenticated();
        self.close_session();
        self.gate.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
