//! Accounts as a Cyrus configuration describes them: auxprop and canon_user plugins, and saslauthd.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use authen_sasl_accounts::domain::is_foreign;
use authen_sasl_accounts::saslauthd::Saslauthd;
use authen_sasl_rust::accounts::{Account, Accounts, Properties};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Abilities, Answer, CredentialKind, Description, Question};
use authen_sasl_rust::error::{self, Application, Code, Error};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::check::check_answer;
use authen_sasl_rust::store::otp;
use authen_sasl_rust::store::verifier::Verifier;
use authen_sasl_rust::world::LookupMemory;

use super::auxprop::Auxprops;
use super::canon::Canon;
use super::inquiry::{text, Inquiry};
use super::journal::Log;
use super::options::Options;
use super::propctx::{PASSWORD, VERIFIER};
use super::search::Refused;
use saslplug::flag;

/// Where saslauthd listens, if the configuration does not say.
const SASLAUTHD: &str = "/run/saslauthd/mux";
/// The time limit of a check by saslauthd.
const SASLAUTHD_LIMIT: Duration = Duration::from_secs(30);

/// The beginning of the error text for an unusable secret.
const STORED_PASSWORD: &str = "the property userPassword of the user is";

/// A way to verify a password that a client has sent (the option `pwcheck_method`).
#[derive(Debug)]
enum Method {
    /// Compare it with the property userPassword.
    Auxprop,
    /// Compare it with a SCRAM verifier. Other values of the property are never used as passwords.
    AuxpropHashed,
    /// Ask a daemon.
    Saslauthd(Saslauthd),
}

/// The accounts of plugins and saslauthd.
pub struct CyrusAccounts {
    options: Arc<Options>,
    log: Option<Log>,
    methods: Vec<Method>,
    auxprops: Auxprops,
    canon: Option<Canon>,
    mechanisms: Option<Vec<Box<str>>>,
    refused: Vec<Refused>,
    lookups: LookupMemory,
}

impl CyrusAccounts {
    /// Accounts of a configuration: `pwcheck_method`, `auxprop_plugin`, `canon_user_plugin`, `mech_list`, `log_level`,
    /// `saslauthd_path`, and the options of the plugins themselves (`sasldb_path`, `sql_select`, `ldapdb_uri`, ...). The plugins
    /// are loaded from the folders.
    ///
    /// # Errors
    /// [`Error::Outside`] for an unknown method, for `auto_transition`, for a plugin that is named but cannot be used, and if a method
    /// needs auxprop plugins and there are none.
    pub fn new(folders: &[PathBuf], options: Options, log: Option<Log>) -> Result<Self, Error> {
        let options = Arc::new(options);
        if options.get("auto_transition").is_some_and(is_on) {
            let reason = "auto_transition: passwords of users who log in are not stored here; remove the option";
            return Err(Error::outside(Code::ConfigErr, reason));
        }
        let methods = methods(options.get("pwcheck_method").unwrap_or("auxprop"), &options)?;
        let named: Option<Vec<&str>> = options.get("auxprop_plugin").map(|names| words(names).collect());
        let local = methods.iter().any(|method| !matches!(method, Method::Saslauthd(_)));
        let (auxprops, refused) = if local || named.is_some() {
            Auxprops::load(folders, named.as_deref(), &options, log.as_ref())
        } else {
            Default::default()
        };
        if named.is_some() && !refused.is_empty() || local && auxprops.is_empty() {
            return Err(unusable(&refused));
        }
        let canon = match options.get("canon_user_plugin").map(str::trim).filter(|name| !name.is_empty()) {
            Some(name) => Some(Canon::load(folders, name, &options, log.as_ref())?),
            None => None,
        };
        let mechanisms = options.get("mech_list").map(|list| words(list).map(Into::into).collect());
        let lookups = LookupMemory::default();
        Ok(CyrusAccounts { options, log, methods, auxprops, canon, mechanisms, refused, lookups })
    }

    /// The plugins that cannot be used, and why, if the configuration names none.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    fn inquiry(&self, config: &Config, realm: Option<&str>) -> Result<Inquiry, Error> {
        Inquiry::new(&self.options, self.log.as_ref(), config, realm.or(config.realm()))
    }

    fn hashed(&self) -> bool {
        let clear = self.methods.iter().any(|method| matches!(method, Method::Auxprop));
        !clear && self.methods.iter().any(|method| matches!(method, Method::AuxpropHashed))
    }

    /// The password of a user, or a verifier of this kind. `None` for an unknown user, and for one
    /// without either.
    fn credential(
        &self,
        authcid: &str,
        realm: Option<&str>,
        kind: CredentialKind,
        config: &Config,
    ) -> Result<Option<Secret>, Error> {
        if kind == CredentialKind::Otp {
            return self.otp_state(authcid, realm, config);
        }
        if is_foreign(authcid, config) {
            return Ok(None);
        }
        let mut inquiry = self.inquiry(config, realm)?;
        inquiry.properties.request(PASSWORD);
        // A mechanism that only plugins have, such as NTLM, cannot use a verifier, and neither can CRAM-MD5.
        if matches!(kind, CredentialKind::Comparable | CredentialKind::Scram(_)) {
            // Some plugins look up each property separately.
            inquiry.properties.request(VERIFIER);
        }
        if !self.auxprops.look_up(&mut inquiry, 0, authcid)? {
            return Ok(None);
        }
        let values = |name| inquiry.properties.values(name).into_iter().flatten().map(Secret::new);
        let fits = |stored: &Secret| match Verifier::read(stored) {
            Ok(Some(verifier)) => kind == CredentialKind::Comparable || kind == CredentialKind::Scram(verifier.hash),
            Ok(None) | Err(_) => false,
        };
        if let Some(stored) = values(VERIFIER).find(fits) {
            return Ok(Some(stored));
        }
        let Some(stored) = values(PASSWORD).find(|value| !value.is_empty()) else {
            let other = values(VERIFIER).any(|value| !value.is_empty());
            return if other {
                Err(unusable_secret("the user has no verifier of the mechanism's hash"))
            } else {
                Ok(None)
            };
        };
        if let Some(scheme) = hash_scheme(stored.expose()) {
            let what = format!("a hash ({scheme}) that nothing here can be compared with");
            return Err(unusable_secret(&format!("{STORED_PASSWORD} {what}")));
        }
        if self.hashed() && !fits(&stored) {
            let what = "no SCRAM verifier, which pwcheck_method auxprop-hashed asks for";
            return Err(unusable_secret(&format!("{STORED_PASSWORD} {what}")));
        }
        Ok(Some(stored))
    }

    /// The state of OTP of a user, which libsasl2's plugin stores in the same property.
    fn otp_state(&self, authcid: &str, realm: Option<&str>, config: &Config) -> Result<Option<Secret>, Error> {
        if is_foreign(authcid, config) {
            return Ok(None);
        }
        let mut inquiry = self.inquiry(config, realm)?;
        let name = text("property", &["*", otp::PROPERTY].concat())?;
        inquiry.properties.request(name.clone());
        self.auxprops.look_up(&mut inquiry, 0, authcid)?;
        let mut values = inquiry.properties.values(&name).into_iter().flatten();
        Ok(values.find(|value| !value.is_empty()).map(Secret::new))
    }

    /// Replaces a state that is still the stored one. An auxprop plugin cannot compare and set, so this is atomic within the
    /// process only. Between processes, the lock in the state protects it, as in libsasl2's plugin.
    fn replace_otp_state(
        &self,
        account: Account<'_>,
        old: &Secret,
        new: &Secret,
        config: &Config,
    ) -> Result<bool, Error> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = self.otp_state(account.authcid, account.realm, config)?;
        if !stored.is_some_and(|stored| stored.ct_eq(old.expose())) {
            return Ok(false);
        }
        self.store(account, &[(otp::PROPERTY, Some(new))], config)?;
        Ok(true)
    }

    /// True if one of the methods accepts the password. The methods after it are not asked.
    fn check(&self, authcid: &str, password: &Secret, config: &Config) -> Result<bool, Error> {
        let mut failure = None;
        for method in &self.methods {
            let verdict = match method {
                Method::Saslauthd(daemon) => {
                    let question =
                        Question::CheckPassword { authcid: authcid.into(), authzid: None, password: password.clone() };
                    daemon.answer(&question, config).map(|answer| matches!(answer, Answer::Verdict(true)))
                }
                Method::Auxprop | Method::AuxpropHashed => {
                    let stored = self.credential(authcid, None, CredentialKind::Comparable, config);
                    check_answer(stored, password, config, &self.lookups)
                }
            };
            match verdict {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(false), Err)
    }
}

impl Accounts for CyrusAccounts {
    fn abilities(&self) -> Abilities {
        let mut abilities = Abilities::NONE;
        if !self.auxprops.is_empty() {
            abilities = abilities.union(Abilities::CREDENTIALS);
        }
        if self.auxprops.can_store() {
            abilities = abilities.union(Abilities::OTP);
        }
        // Without a daemon, the session compares with the credentials itself.
        if self.methods.iter().any(|method| matches!(method, Method::Saslauthd(_))) {
            abilities = abilities.union(Abilities::CHECK_PASSWORD);
        }
        if self.canon.is_some() {
            abilities = abilities.union(Abilities::CANONICALIZE);
        }
        abilities
    }

    fn answer(&self, question: &Question, config: &Config) -> Result<Answer, Error> {
        match question {
            Question::Credentials { kind, authcid, realm, .. } => {
                self.credential(authcid, realm.as_deref(), *kind, config).map(Answer::Credential)
            }
            Question::Replace { authcid, realm, old, new, .. } => {
                let account = Account { authcid, authzid: None, realm: realm.as_deref() };
                self.replace_otp_state(account, old, new, config).map(Answer::Verdict)
            }
            Question::CheckPassword { authcid, password, .. } => {
                self.check(authcid, password, config).map(Answer::Verdict)
            }
            Question::Canonicalize { authzid, name, realm } => {
                let Some(canon) = &self.canon else { return Err(Application::WrongAnswer.into()) };
                let flags = if *authzid { flag::CU_AUTHZID } else { flag::CU_AUTHID };
                let mut inquiry = self.inquiry(config, realm.as_deref())?;
                canon.name(&mut inquiry, name, flags).map(Answer::Text)
            }
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    /// As in libsasl2, a name means a mechanism with and without channel binding; a name with -PLUS means only that variant.
    fn excluded_reason(&self, mechanism: &Description) -> Option<String> {
        let base = mechanism.name.strip_suffix("-PLUS").unwrap_or(mechanism.name);
        let stands = |name: &str| name.eq_ignore_ascii_case(base) || name.eq_ignore_ascii_case(mechanism.name);
        let excluded = self.mechanisms.as_ref().is_some_and(|names| !names.iter().any(|name| stands(name)));
        excluded.then(|| "the mech_list of the accounts does not have it".into())
    }

    fn unfit_reason(&self, mechanism: &Description) -> Option<String> {
        if self.hashed() && mechanism.credential == CredentialKind::Password {
            return Some("the accounts have hashed passwords only".into());
        }
        None
    }

    /// A name with a star before it means a property of the authentication identity. A name without a star means a property of
    /// the authorization identity, which is the authentication identity if no other is given.
    fn properties(&self, wanted: &[Box<str>], of: Account<'_>, config: &Config) -> Result<Properties, Error> {
        let mut found = Properties::default();
        let who = [(true, of.authcid, 0), (false, of.authzid.unwrap_or(of.authcid), flag::AUXPROP_AUTHZID)];
        for (star, user, flags) in who {
            let names: Vec<&Box<str>> = wanted.iter().filter(|name| name.starts_with('*') == star).collect();
            if names.is_empty() {
                continue;
            }
            // One context for each identity: some plugins ignore the stars.
            let mut inquiry = self.inquiry(config, of.realm)?;
            for name in &names {
                inquiry.properties.request(text("property", name)?);
            }
            self.auxprops.look_up(&mut inquiry, flags, user)?;
            for name in names {
                if let Some(values) = inquiry.properties.values(&text("property", name)?) {
                    found.add(name, values.map(Secret::new));
                }
            }
        }
        Ok(found)
    }

    fn store(&self, of: Account<'_>, values: &[(&str, Option<&Secret>)], config: &Config) -> Result<(), Error> {
        let mut inquiry = self.inquiry(config, of.realm)?;
        for (name, value) in values {
            if value.is_some_and(|value| value.expose().contains(&0)) {
                return Err(Error::outside(Code::BadParam, format!("there is a NUL character in the value of {name}")));
            }
        }
        self.auxprops.store(&mut inquiry, values, of.authzid.unwrap_or(of.authcid))
    }
}

impl fmt::Debug for CyrusAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plugins: Vec<&str> = self.auxprops.names().collect();
        f.debug_struct("CyrusAccounts").field("methods", &self.methods).field("auxprops", &plugins).finish()
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split([' ', '\t', ',']).filter(|word| !word.is_empty())
}

/// The values that libsasl2 treats as true. `auto_transition` may also be `noplain`, which stores secrets, too.
fn is_on(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    value.starts_with(['1', 'y', 't']) || value.starts_with("on") || value == "noplain"
}

fn methods(names: &str, options: &Options) -> Result<Vec<Method>, Error> {
    let method = |name: &str| match name.to_ascii_lowercase().as_str() {
        "auxprop" => Ok(Method::Auxprop),
        "auxprop-hashed" => Ok(Method::AuxpropHashed),
        "saslauthd" => {
            let path = options.get("saslauthd_path").unwrap_or(SASLAUTHD);
            Saslauthd::new(Path::new(path), SASLAUTHD_LIMIT).map(Method::Saslauthd)
        }
        _ => Err(Error::outside(
            Code::ConfigErr,
            format!("pwcheck_method {name}: only auxprop, auxprop-hashed and saslauthd are known"),
        )),
    };
    let methods: Vec<Method> = words(names).map(method).collect::<Result<_, _>>()?;
    if methods.is_empty() {
        return Err(Error::outside(Code::ConfigErr, "pwcheck_method names no method"));
    }
    Ok(methods)
}

fn unusable(refused: &[Refused]) -> Error {
    let reasons: Vec<String> = refused.iter().map(|refused| format!("{}: {}", refused.name, refused.reason)).collect();
    let reasons = if reasons.is_empty() { "there is none".into() } else { reasons.join("; ") };
    Error::outside(Code::ConfigErr, format!("auxprop plugins that cannot be used: {reasons}"))
}

/// The peer cannot distinguish such a user from an unknown one.
fn unusable_secret(what: &str) -> Error {
    error::Refused::Unusable(Box::new(Error::outside(Code::NoVerify, what))).into()
}

/// The scheme of a hash, as in directories (`{SSHA}...`) or crypt(3) (`$6$...`). If the text were used as a password, anyone
/// who knows the hash could log in.
fn hash_scheme(stored: &[u8]) -> Option<&str> {
    /// Parts of the names of such schemes, and beginnings of others.
    const PARTS: [&str; 6] = ["ARGON2", "CRYPT", "MD4", "MD5", "PBKDF2", "SHA"];
    const STARTS: [&str; 8] = ["KERBEROS", "LANMAN", "LM", "NT", "OTP", "RPA", "SASL", "SKEY"];
    const CRYPT: [&str; 14] = ["1", "2", "2a", "2b", "2x", "2y", "5", "6", "7", "y", "gy", "apr1", "P", "H"];
    let text = stored.utf8_chunks().next()?.valid();
    let scheme = |opening, closing| text.strip_prefix(opening)?.split_once(closing).map(|(scheme, _)| scheme);
    let known = |scheme: &&str| {
        let name = scheme.to_ascii_uppercase();
        PARTS.iter().any(|part| name.contains(part)) || STARTS.iter().any(|start| name.starts_with(start))
    };
    scheme('{', '}').filter(known).or_else(|| scheme('$', '$').filter(|id| CRYPT.contains(id) || known(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_told_from_passwords() {
        for (stored, scheme) in [
            ("{SSHA}AAAA", "SSHA"),
            ("{md5}AAAA", "md5"),
            ("{SHA512-CRYPT}$6$salt$AAAA", "SHA512-CRYPT"),
            ("{PLAIN-MD5}AAAA", "PLAIN-MD5"),
            ("{DIGEST-MD5}AAAA", "DIGEST-MD5"),
            ("{CRAM-MD5.hex}AAAA", "CRAM-MD5.hex"),
            ("{LM}AAAA", "LM"),
            ("{SASL}fred@example.org", "SASL"),
            ("$6$salt$AAAA", "6"),
            ("$2y$10$AAAA", "2y"),
            ("$argon2id$v=19$m=65536,t=3,p=4$AAAA$AAAA", "argon2id"),
            ("$apr1$salt$AAAA", "apr1"),
        ] {
            assert_eq!(hash_scheme(stored.as_bytes()), Some(scheme), "{stored}");
            assert_eq!(hash_scheme(&[stored.as_bytes(), b"\xff"].concat()), Some(scheme), "{stored} and bytes");
        }
        for password in
            ["", "pencil", "{}", "{pencil}", "{PLAIN}pencil", "{SSHA", "$6", "$$", "$cash$", "p$6$x$", "\u{e4}"]
        {
            assert_eq!(hash_scheme(password.as_bytes()), None, "{password}");
        }
    }
}
