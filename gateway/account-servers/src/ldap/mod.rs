//! LDAP: verifiers in the entries of a directory, or passwords that it checks itself.
//!
//! | floor | files | what |
//! |---|---|---|
//! | 4 | `mod.rs` | the engine |
//! | 3 | `connection.rs`, `entry.rs` | connections; an entry that a search has found |
//! | 2 | `settings.rs` | the table `ldap` |
//! | 1 | `filter.rs` | the search filter, with a user's name in it |

mod connection;
mod entry;
mod filter;
mod settings;

use std::sync::Arc;

use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::wire::saslprep;
use ldap3::{LdapResult, Scope, SearchOptions};
use tokio_rustls::rustls::ClientConfig;

use crate::account::{Account, Unavailable};
use crate::engine::{Asking, Engine};
use crate::link::Link;
use connection::{described, unavailable, Connection};
use entry::Entry;
use filter::Filter;
pub use settings::{Check, SearchScope, Settings};

/// What the name of an entry that does not exist begins with.
const NOBODY: &str = "cn=authen-sasl-rust-nobody";

/// Result codes of RFC 4511 appendix A.
const SUCCESS: u32 = 0;
const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// The directory does not authenticate this user by this password: constraintViolation (the password has failed too often),
/// noSuchObject, inappropriateAuthentication (the entry has no password), invalidCredentials, unwillingToPerform (the account is
/// not active).
const REFUSED: [u32; 5] = [19, 32, 48, 49, 53];

/// Asks a directory.
pub struct Directory {
    settings: Settings,
    filter: Filter,
    attributes: Vec<String>,
    tls: Option<Arc<ClientConfig>>,
    password: Option<Secret>,
    service: Link<Connection>,
}

impl Directory {
    /// With settings that were checked, the service account's password, and what to expect of the server's certificate. Nothing
    /// is asked yet.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(settings: &Settings, password: Option<Secret>, tls: Option<Arc<ClientConfig>>) -> Result<Self, String> {
        settings.check()?;
        if settings.uses_tls() && tls.is_none() {
            return Err("ldap.ca: not loaded".into());
        }
        if password.as_ref().is_some_and(Secret::is_empty) {
            return Err("ldap.password_file: empty".into());
        }
        let filter = Filter::parse(&settings.filter)?;
        let mut attributes = vec![settings.name.clone()];
        attributes.extend(settings.disabling_attribute().map(str::to_owned));
        attributes.extend(settings.groups.clone());
        if !settings.binds() {
            attributes.extend(settings.verifiers.iter().cloned());
        }
        Ok(Directory { settings: settings.clone(), filter, attributes, tls, password, service: Link::default() })
    }

    /// The connection that is authenticated as the service account. Nobody else is ever authenticated on it.
    async fn service(&self) -> Result<Arc<Connection>, Unavailable> {
        let open = || async {
            let connection = Connection::open(&self.settings, self.tls.as_ref()).await?;
            connection.authenticate(&self.settings, self.password.as_ref()).await?;
            Ok(connection)
        };
        let connection = self.service.get(open()).await?;
        if !connection.is_closed() {
            return Ok(connection);
        }
        self.service.lost(&connection);
        self.service.get(open()).await
    }

    /// The user's entry. A connection that the server has closed meanwhile is noticed only by the question: it is asked once more.
    async fn entry(&self, name: &str) -> Result<Option<Entry>, Unavailable> {
        match self.search(name).await {
            Err(Search::Lost(_)) => {}
            Err(Search::Failed(why)) => return Err(why),
            Ok(entry) => return Ok(entry),
        }
        self.search(name).await.map_err(|error| match error {
            Search::Lost(why) | Search::Failed(why) => why,
        })
    }

    async fn search(&self, name: &str) -> Result<Option<Entry>, Search> {
        let mut using =
            Using { link: &self.service, connection: self.service().await.map_err(Search::Failed)?, keep: false };
        // A second entry would be an error, so the server need not send more.
        let options = SearchOptions::new().sizelimit(2);
        let mut ldap = using.connection.handle();
        let found = ldap
            .with_search_options(options)
            .search(&self.settings.base, self.settings.scope.into(), &self.filter.of(name), &self.attributes)
            .await;
        let failed = |error, connection: &Connection| match connection.is_closed() {
            true => Search::Lost(unavailable(error)),
            false => Search::Failed(unavailable(error)),
        };
        let found = found.map_err(|error| failed(error, &using.connection))?;
        let mut entry = self.only(name, found.0, &found.1).map_err(Search::Failed);
        if let (Ok(Some(entry)), Some(mark)) = (&mut entry, self.settings.disabling_attribute()) {
            if entry.may_rename(mark, &self.attributes) {
                let found = ldap.search(&entry.dn, Scope::Base, "(objectClass=*)", [mark]).await;
                let found = found.map_err(|error| failed(error, &using.connection))?;
                let alone = self.alone(found.0, &found.1).map_err(Search::Failed)?;
                entry.add_as(mark, alone);
            }
        }
        using.keep = true;
        entry
    }

    /// The user's entry with the attribute alone that disables its user.
    fn alone(&self, mut found: Vec<ldap3::ResultEntry>, result: &LdapResult) -> Result<Entry, Unavailable> {
        let entry = found.pop().filter(|_| result.rc == SUCCESS).and_then(Entry::read);
        entry.ok_or_else(|| Unavailable::new(format!("ldap.disabled cannot be read: {}", described(result))))
    }

    /// The only entry among what a search has found. Referrals to other servers are not followed.
    fn only(
        &self,
        name: &str,
        found: Vec<ldap3::ResultEntry>,
        result: &LdapResult,
    ) -> Result<Option<Entry>, Unavailable> {
        let mut entries: Vec<_> =
            found.into_iter().filter(|found| !found.is_ref() && !found.is_intermediate()).collect();
        match (result.rc, entries.len()) {
            (SUCCESS, 0) => Ok(None),
            (SUCCESS, 1) => {
                let entry = entries.pop().and_then(Entry::read).ok_or_else(|| Unavailable::new("a malformed entry"))?;
                let attribute = &self.settings.name;
                match entry.is_of(name, attribute) {
                    Some(is_of) => Ok(is_of.then_some(entry)),
                    None => Err(Unavailable::new(format!("{:?} has no attribute {attribute} to be seen", entry.dn))),
                }
            }
            (SUCCESS | SIZE_LIMIT_EXCEEDED, 2..) => {
                Err(Unavailable::new(format!("several entries match {:?}", self.filter.of(name))))
            }
            _ => Err(Unavailable::new(format!("the search fails: {}", described(result)))),
        }
    }

    /// Whether the directory authenticates this entry with this password, on a connection of its own.
    async fn binds(&self, dn: &str, password: &Secret) -> Result<bool, Unavailable> {
        let connection = Connection::open(&self.settings, self.tls.as_ref()).await?;
        let result = connection.bind(dn, password).await?;
        match result.rc {
            SUCCESS => Ok(true),
            rc if REFUSED.contains(&rc) => Ok(false),
            _ => Err(Unavailable::new(format!("the directory does not check a password: {}", described(&result)))),
        }
    }

    /// The entry that is bound to for an unknown user.
    fn nobody(&self) -> String {
        self.settings.unknown_dn.clone().unwrap_or_else(|| format!("{NOBODY},{}", self.settings.base))
    }
}

/// Why a search has no result.
enum Search {
    /// The connection was lost on the way.
    Lost(Unavailable),
    /// Anything else.
    Failed(Unavailable),
}

/// Gives the connection up unless its question was answered: a server that is silent now may be silent for ever.
struct Using<'d> {
    link: &'d Link<Connection>,
    connection: Arc<Connection>,
    keep: bool,
}

impl Drop for Using<'_> {
    fn drop(&mut self) {
        if !self.keep {
            self.link.lost(&self.connection);
        }
    }
}

impl Engine for Directory {
    fn find<'a>(&'a self, name: &'a str) -> Asking<'a, Option<Account>> {
        Box::pin(async move { Ok(self.entry(name).await?.map(|entry| entry.account(&self.settings))) })
    }

    /// Whether there are users' entries is unknown; the base must exist.
    fn probe(&self) -> Asking<'_, ()> {
        Box::pin(async move {
            let mut using = Using { link: &self.service, connection: self.service().await?, keep: false };
            let mut ldap = using.connection.handle();
            let base = &self.settings.base;
            let found = ldap.search(base, Scope::Base, "(objectClass=*)", ["1.1"]).await.map_err(unavailable)?;
            using.keep = true;
            match (found.1.rc, found.0.is_empty()) {
                (SUCCESS, false) => Ok(()),
                (SUCCESS, true) => {
                    Err(Unavailable::new(format!("ldap.base {base:?}: the service account cannot see it")))
                }
                _ => Err(Unavailable::new(format!("ldap.base {base:?}: {}", described(&found.1)))),
            }
        })
    }

    fn checks_passwords(&self) -> bool {
        self.settings.binds()
    }

    /// An unknown or disabled user, and a password that cannot be one, take the same steps as a wrong password.
    fn check<'a>(&'a self, name: &'a str, password: &'a Secret) -> Asking<'a, Option<Account>> {
        Box::pin(async move {
            let entry = self.entry(name).await?;
            let known =
                entry.map(|entry| (entry.account(&self.settings), entry.dn)).filter(|(account, _)| !account.disabled);
            // RFC 4513 §5.1.3. An empty one would be an unauthenticated bind, which succeeds (§5.1.2).
            let prepared =
                password.expose_str().and_then(|text| saslprep::query(text).ok()).filter(|text| !text.is_empty());
            match (known, prepared) {
                (Some((account, dn)), Some(prepared)) => {
                    let password = Secret::new(prepared.as_bytes());
                    Ok(self.binds(&dn, &password).await?.then_some(account))
                }
                // Whatever the directory says of nobody.
                _ => self.binds(&self.nobody(), &Secret::new(b"nobody's")).await.map(|_| None),
            }
        })
    }
}
