//! What all connections share.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use authen_sasl_rust::contract::World;
use authen_sasl_rust::mechanism;
use authen_sasl_rust::negotiate;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::users::{Users, UsersFile};
use authen_sasl_rust::world::{LookupMemory, OsRandom};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::gauges::Gauges;
use crate::settings::Settings;
use crate::throttle::Throttle;
use crate::tls;

/// Of an unknown user's key, where there is no user to be like.
const ITERATIONS: u32 = 4096;

/// A configuration with all that its files hold; a reload makes a new one.
pub struct Live {
    pub settings: Settings,
    pub users: Arc<Users>,
    /// What the salts of unknown users are derived from, if not from the file.
    salt_key: Option<Secret>,
    lookups: LookupMemory,
    pub tls: Option<TlsAcceptor>,
    /// What is offered, as far as the users' keys allow.
    pub mechanisms: String,
}

impl Live {
    /// Reads everything that the settings name.
    pub fn load(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        let path = settings.users.as_deref().unwrap_or(Path::new(""));
        let users = UsersFile::new(path).and_then(|file| file.users()).map_err(|error| error.to_string())?;
        let salt_key = settings.salt_key.as_deref().map(salt_key).transpose()?;
        let mechanisms = usable(&users, &settings.mechanisms);
        if mechanisms.is_empty() {
            return Err(format!("no user has a stored key for any of the mechanisms {}", settings.mechanisms));
        }
        let tls = match (&settings.tls.certificate, &settings.tls.key) {
            (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key)?),
            (None, None) => None,
            _ => return Err("a certificate and its key belong together".into()),
        };
        Ok(Live { settings, users, salt_key, lookups: LookupMemory::new(), tls, mechanisms })
    }

    /// Lends the core its world, for one call.
    pub fn with_world<R>(&self, call: impl FnOnce(&mut World<'_>) -> R) -> R {
        call(&mut World {
            random: &mut OsRandom,
            keys: None,
            fake_salt_key: self.salt_key.as_ref().map_or(&[], Secret::expose),
            lookups: &self.lookups,
        })
    }

    /// The stored key of a user for a mechanism; of an unknown one it is made up.
    pub fn key(&self, name: &str, mechanism: &str) -> Secret {
        self.users.credential(name, mechanism, self.salt_key.as_ref(), ITERATIONS)
    }
}

fn salt_key(path: &Path) -> Result<Secret, String> {
    let key = std::fs::read(path).map(Secret::from).map_err(|error| format!("{}: {error}", path.display()))?;
    if key.expose().len() < 16 {
        return Err(format!("{}: at least 16 bytes were expected", path.display()));
    }
    Ok(key)
}

/// The mechanisms of the list that at least one user can use: SCRAM needs keys of its hash.
fn usable(users: &Users, mechanisms: &str) -> String {
    let fits = |name: &&str| mechanism::find(name).is_some_and(|found| users.unfit(found).is_none());
    negotiate::names(mechanisms).filter(fits).collect::<Vec<_>>().join(" ")
}

/// The gateway.
pub struct Gate {
    live: RwLock<Arc<Live>>,
    pub throttle: Arc<Throttle>,
    pub gauges: Gauges,
    /// Key derivations at once: one for each thread, so that passwords do not starve the relays.
    pub derivations: Semaphore,
}

impl Gate {
    pub fn new(live: Live, threads: usize) -> Self {
        Gate {
            live: RwLock::new(Arc::new(live)),
            throttle: Arc::default(),
            gauges: Gauges::default(),
            derivations: Semaphore::new(threads),
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
