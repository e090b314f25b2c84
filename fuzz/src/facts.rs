//! What both sides of an exchange know, and how they are configured.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use authen_sasl_cyrus_host::{CyrusAccounts, Options};
use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::{Abilities, Side};
use authen_sasl_rust::crypto::otp::OtpHash;
use authen_sasl_rust::crypto::scram::parse_mechanism_name;
use authen_sasl_rust::mechanism;
use authen_sasl_rust::session::Session;
use authen_sasl_rust::store::otp::OtpState;
use authen_sasl_rust::store::tokens;
use authen_sasl_rust::store::verifier::{Verifier, VerifierFormat};

use crate::input::Input;

/// The sequence number of the user's chain, which is one that an unknown user may appear to have.
pub(crate) const OTP_SEQUENCE: u32 = 450;
/// Names with characters that are special in some mechanism: a comma, quotes, ISO 8859-1 characters, and others.
const NAMES: [&str; 6] = ["fred", "a=b,c", "q\"u\\o", "fr\u{e9}d", "\u{20ac}\u{4e2d}", "a name with spaces"];
const REALMS: [&str; 4] = ["example.com", "", "r\"\\, x", "r\u{e9}alm"];
/// Limits for the SSF, and maximum sizes of frames.
const STRENGTHS: [u32; 6] = [0, 1, 40, 56, 112, u32::MAX];
const FRAMES: [u32; 6] = [65536, 0, 16, 17, 64, 4096];

/// The `mech_list` of a server's accounts. A name means the mechanism with and without -PLUS.
const MECH_LISTS: [Option<&str>; 8] = [
    None,
    Some("PLAIN LOGIN"),
    Some("SCRAM-SHA-256 scram-sha-1 DIGEST-MD5"),
    Some("SCRAM-SHA-256-PLUS,CRAM-MD5,XOAUTH2"),
    Some("ANONYMOUS"),
    Some("EXTERNAL\tOAUTHBEARER"),
    Some("SCRAM-SHA3-512 SCRAM-SHA-512 SCRAM-SHA-384 SCRAM-SHA-224"),
    Some("NO-SUCH-MECHANISM"),
];

/// What a server's option `upgrade` asks for, with the fewest iterations that it takes.
const UPGRADES: [Option<&str>; 4] =
    [None, Some("SCRAM-SHA-1 4096"), Some("SCRAM-SHA-256 4096"), Some("SCRAM-SHA3-512 4096")];

/// Low, to keep key derivations cheap. The limits of real clients and servers are tested elsewhere.
const ITERATIONS: u32 = 2;
const MAX_ITERATIONS: u32 = 8;

/// What both applications know, and how both sides are configured.
#[derive(Clone, Debug)]
pub struct ExchangeFacts {
    /// The mechanism's name.
    pub mechanism: &'static str,
    /// The user's name, as the client's application gives it.
    pub name: &'static str,
    /// The client knows the user's password and token.
    pub client_knows: bool,
    /// The server knows the user.
    pub user_known: bool,
    /// The server has a verifier, if the mechanism can use one, or several tokens.
    pub has_verifier: bool,
    /// The authzid that the client asks for.
    pub authzid: Option<String>,
    /// What the server's application can answer.
    pub server_abilities: Abilities,
    /// The server's realm.
    pub realm: &'static str,
    /// Channel binding data of the client and of the server.
    pub bindings: [Option<Vec<u8>>; 2],
    /// Options of the client and of the server.
    pub options: [Vec<(&'static str, String)>; 2],
    /// The client believes that the server offers -PLUS.
    pub peer_offers_binding: bool,
    /// The client's application declares before the exchange that it asks for another identity than its own.
    pub declares_other: bool,
    /// The mechanisms that the server's account store allows. `None` if the server has no account store.
    pub mech_list: Option<&'static str>,
    /// The server's state of OTP, which exchanges change.
    pub(crate) otp: Rc<RefCell<OtpState>>,
    /// The seed of secrets and nonces.
    pub(crate) seed: u64,
}

fn secret(seed: u64) -> String {
    format!("pa{:016x}", seed.rotate_left(17) ^ 0x5eed_5eed_5eed_5eed)
}

impl ExchangeFacts {
    /// Reads the facts from nine bytes of the input.
    pub fn read(mechanism: &'static str, input: &mut Input<'_>) -> Self {
        let (who, what, bound) = (input.byte(), input.byte(), input.byte());
        let name = *input.choose(&NAMES);
        let third = usize::from(input.byte());
        let (realm, upgrade) = (REALMS[third % REALMS.len()], UPGRADES[third / REALMS.len() % UPGRADES.len()]);
        let authzid = match who >> 3 & 3 {
            0 => None,
            1 => Some(name.to_owned()),
            2 => Some("somebody else".to_owned()),
            _ => Some(format!("{name}@{realm}")),
        };
        let mut server_abilities = Abilities::NONE;
        for (bit, ability) in [
            (1, Abilities::CREDENTIALS),
            (2, Abilities::CHECK_PASSWORD),
            (4, Abilities::AUTHORIZE),
            (8, Abilities::CANONICALIZE),
            (16, Abilities::CHECK_TOKEN),
            (32, Abilities::HT_TOKENS),
            (64, Abilities::OTP),
            (128, Abilities::SET_VERIFIER),
        ] {
            // Inverted, so that zero bytes make a server with all abilities.
            if what & bit == 0 {
                server_abilities = server_abilities.union(ability);
            }
        }
        let data = |bit: u8, byte: u8| (bound & bit != 0).then(|| vec![byte; 12]);
        let mut options: [Vec<(&'static str, String)>; 2] = Default::default();
        for (side, require) in options.iter_mut().zip([8, 16]) {
            let (strength, frame) = (input.byte(), *input.choose(&FRAMES));
            side.push(("maxssf", STRENGTHS[usize::from(strength) % STRENGTHS.len()].to_string()));
            side.push((
                "minssf",
                STRENGTHS[usize::from(strength >> 4) % STRENGTHS.len()].min(strength.into()).to_string(),
            ));
            side.push(("maxbuf", frame.to_string()));
            if bound & require != 0 {
                side.push(("channel_binding_policy", "require".into()));
            }
            if bound & 64 != 0 {
                side.push(("offered_mechanisms", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN".into()));
            }
        }
        options[1].extend(upgrade.map(|strength| ("upgrade", strength.to_owned())));
        let seed = input.digest();
        ExchangeFacts {
            mechanism,
            name,
            client_knows: who & 1 == 0,
            user_known: who & 2 == 0,
            has_verifier: who & 4 == 0,
            authzid,
            server_abilities,
            realm,
            bindings: [data(1, 7), data(2, if bound & 4 == 0 { 7 } else { 8 })],
            options,
            peer_offers_binding: bound & 32 != 0,
            declares_other: bound & 128 != 0,
            mech_list: MECH_LISTS[usize::from(who >> 5)],
            otp: Rc::new(RefCell::new(OtpState::new(OtpHash::Md5, secret(seed).as_bytes(), "fu0001", OTP_SEQUENCE))),
            seed,
        }
    }

    /// The user's password, which is also the token. It is valid in every grammar.
    pub fn secret(&self) -> String {
        secret(self.seed)
    }

    /// What the client's application believes to be the secret.
    pub fn client_secret(&self) -> String {
        match self.client_knows {
            true => self.secret(),
            false => format!("no{:016x}", self.seed.rotate_left(31) ^ 0x0bad_0bad_0bad_0bad),
        }
    }

    /// What the server has stored.
    pub(crate) fn credential(&self) -> String {
        if self.mechanism.starts_with("HT") && self.has_verifier {
            let joined = tokens::join(["another", "", &self.secret()]);
            return joined.expose_str().expect("tokens of ASCII").to_owned();
        }
        match parse_mechanism_name(self.mechanism).filter(|_| self.has_verifier) {
            Some((hash, _)) => Verifier::make(hash, &self.secret(), &[3; 16], ITERATIONS)
                .expect("a verifier of ASCII")
                .print(VerifierFormat::Rfc5803),
            None => self.secret(),
        }
    }

    /// The authzid that the client asks for, if it is not its own identity.
    pub fn acts_as(&self) -> Option<&str> {
        self.authzid.as_deref().filter(|authzid| *authzid != self.name)
    }

    /// Whether the server's account store allows a mechanism.
    pub fn lists(&self, mechanism: &str) -> bool {
        let Some(list) = self.mech_list else { return true };
        let base = mechanism.strip_suffix("-PLUS").unwrap_or(mechanism);
        list.split([' ', ',', '\t']).any(|name| [mechanism, base].iter().any(|meant| meant.eq_ignore_ascii_case(name)))
    }

    /// The authcid of the server's session after a success.
    pub fn expected_authcid(&self) -> String {
        match self.mechanism {
            "ANONYMOUS" => "anonymous".into(),
            _ => self.name.into(),
        }
    }
}

/// Configures a side according to the facts.
pub fn configure(session: &mut Session, facts: &ExchangeFacts) {
    let side = session.side();
    let config = &mut session.config;
    let index = side as usize;
    for (name, value) in &facts.options[index] {
        assert_eq!(config.set(name, Some(value)), Ok(()), "{name} {value}");
    }
    for (name, value) in [("service", "ldap"), ("host", "mail.example.com"), ("external_id", facts.name)] {
        assert_eq!(config.set(name, Some(value)), Ok(()));
    }
    if let Some(data) = facts.bindings[index].clone() {
        let mechanism = mechanism::find(facts.mechanism).expect("a mechanism of the registry");
        let kind = mechanism.binding_type.unwrap_or("tls-exporter").into();
        config.set_binding(ChannelBinding { kind, data }).expect("a binding");
    }
    (config.iterations, config.min_iterations, config.max_iterations) = (Some(ITERATIONS), 1, MAX_ITERATIONS);
    match side {
        Side::Client => {
            config.abilities =
                [Abilities::AUTHZID, Abilities::PASSWORD, Abilities::TOKEN, Abilities::HT_TOKEN, Abilities::KEEP_KEYS]
                    .into_iter()
                    .fold(Abilities::AUTHCID, Abilities::union);
            if facts.declares_other && facts.acts_as().is_some() {
                config.abilities = config.abilities.union(Abilities::ACTS_AS_OTHER);
            }
            config.peer_offers_binding = facts.peer_offers_binding;
        }
        Side::Server => {
            config.abilities = facts.server_abilities.union(Abilities::KEEP_KEYS);
            assert_eq!(config.set("realm", Some(facts.realm)), Ok(()));
            session.accounts = facts.mech_list.map(|list| Arc::new(accounts(list)) as _);
        }
    }
}

/// An account store with that list and without users. What the application cannot answer goes to a daemon that does not run.
fn accounts(mech_list: &str) -> CyrusAccounts {
    let mut options = Options::default();
    for (name, value) in
        [("pwcheck_method", "saslauthd"), ("saslauthd_path", "/nonexistent/mux"), ("mech_list", mech_list)]
    {
        options.set(name, value).expect("a value without NUL");
    }
    CyrusAccounts::new(&[], options, None).expect("accounts without plugins")
}
