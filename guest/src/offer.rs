//! Which mechanisms libsasl2 gets, and what it is told of them.

use std::ffi::{c_char, c_uint, c_ulong, c_void, CString};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use authen_sasl_rust::config::words;
use authen_sasl_rust::contract::{Mechanism, Side};
use authen_sasl_rust::mechanism::find;
use authen_sasl_rust::plugin::abi::{callback, feature, security, ClientPlug, ServerPlug};

use crate::host::Host;
use crate::{client, server, setpass};

/// The administrator's choice among our mechanisms, an option of libsasl2's.
const CHOICE: &std::ffi::CStr = c"rust_mech_list";

/// When a side offers a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offered {
    /// Unless the choice leaves it out.
    ByDefault,
    /// If the choice names it.
    IfNamed,
}

/// What is known of a mechanism beside what the core knows of it.
#[derive(Debug)]
struct Row {
    name: &'static str,
    /// Flags of the SASL_SEC_ kind that our own table has not, and SCRAM's strength of hash.
    security: c_uint,
    client: c_uint,
    server: c_uint,
    prompts: &'static [c_ulong],
    on_server: Offered,
    /// The mechanism keeps verifiers in place of passwords, and `setpass` makes them.
    makes_verifiers: bool,
}

const NAME_AND_PASSWORD: &[c_ulong] = &[callback::AUTHNAME, callback::PASS, callback::LIST_END];
const NOTHING: &[c_ulong] = &[callback::LIST_END];

/// `SASL_SET_HASH_STRENGTH_BITS`: libsasl2 prefers the longer hash.
const fn hash_bits(bits: c_uint) -> c_uint {
    (bits / 8) << 16
}

/// The server has the password itself in its hands.
const PASS_CREDENTIALS: c_uint = 0x20;

const fn row(name: &'static str, security: c_uint, client: c_uint, server: c_uint) -> Row {
    Row {
        name,
        security,
        client,
        server,
        prompts: NAME_AND_PASSWORD,
        on_server: Offered::ByDefault,
        makes_verifiers: false,
    }
}

const fn scram(name: &'static str, bits: c_uint) -> Row {
    use feature::{ALLOWS_PROXY, CHANNEL_BINDING, WANT_CLIENT_FIRST};
    let features = WANT_CLIENT_FIRST | ALLOWS_PROXY | CHANNEL_BINDING;
    Row { makes_verifiers: bits == 256, ..row(name, hash_bits(bits), features, features) }
}

/// The server of a token has to be told who checks it, so it is there if it is asked for.
const fn bearer(name: &'static str) -> Row {
    use feature::WANT_CLIENT_FIRST;
    Row { on_server: Offered::IfNamed, ..row(name, 0, WANT_CLIENT_FIRST, WANT_CLIENT_FIRST) }
}

/// All that can be offered, the strongest first. libsasl2 makes -PLUS of a mechanism with channel binding itself, and has an
/// EXTERNAL of its own.
static ROWS: [Row; 13] = {
    use feature::{ALLOWS_PROXY, DONTUSE_USERPASSWD, NEEDS_SERVER_FQDN, SERVER_FIRST, WANT_CLIENT_FIRST};
    [
        scram("SCRAM-SHA3-512", 512),
        scram("SCRAM-SHA-512", 512),
        scram("SCRAM-SHA-384", 384),
        scram("SCRAM-SHA-256", 256),
        scram("SCRAM-SHA-224", 224),
        scram("SCRAM-SHA-1", 160),
        row("DIGEST-MD5", 0, NEEDS_SERVER_FQDN | ALLOWS_PROXY, ALLOWS_PROXY),
        row("CRAM-MD5", 0, SERVER_FIRST, SERVER_FIRST),
        row("PLAIN", PASS_CREDENTIALS, WANT_CLIENT_FIRST | ALLOWS_PROXY, WANT_CLIENT_FIRST | ALLOWS_PROXY),
        // A server of LOGIN may be sent the name at once.
        row("LOGIN", PASS_CREDENTIALS, SERVER_FIRST, 0),
        bearer("OAUTHBEARER"),
        bearer("XOAUTH2"),
        Row { prompts: NOTHING, ..row("ANONYMOUS", 0, WANT_CLIENT_FIRST, WANT_CLIENT_FIRST | DONTUSE_USERPASSWD) },
    ]
};

/// A mechanism as libsasl2's global context has it.
#[derive(Debug)]
pub struct Offer {
    /// Without channel binding.
    pub mechanism: &'static Mechanism,
    /// With it, if there is such a one.
    pub plus: Option<&'static Mechanism>,
    name: CString,
    row: &'static Row,
}

impl Offer {
    /// The one that a `glob_context` points to.
    ///
    /// # Safety
    /// The pointer is null, or one that this module gave to libsasl2.
    pub unsafe fn of<'a>(context: *mut c_void) -> Option<&'a Offer> {
        // SAFETY: the caller's promise; an offer lives as long as the process.
        unsafe { context.cast::<Offer>().as_ref() }
    }

    fn context(&'static self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn text(&'static self) -> *const c_char {
        self.name.as_ptr()
    }

    fn security(&self) -> c_uint {
        security::theirs(self.mechanism.security) | self.row.security
    }

    fn client(&'static self) -> ClientPlug {
        ClientPlug {
            mech_name: self.text(),
            max_ssf: self.mechanism.max_ssf,
            security_flags: self.security(),
            features: self.row.client,
            required_prompts: self.row.prompts.as_ptr(),
            glob_context: self.context(),
            mech_new: Some(client::mech_new),
            mech_step: Some(client::mech_step),
            mech_dispose: Some(client::mech_dispose),
            mech_free: None,
            idle: None,
            spare_fptr1: None,
            spare_fptr2: None,
        }
    }

    fn server(&'static self) -> ServerPlug {
        ServerPlug {
            mech_name: self.text(),
            max_ssf: self.mechanism.max_ssf,
            security_flags: self.security(),
            features: self.row.server,
            glob_context: self.context(),
            mech_new: Some(server::mech_new),
            mech_step: Some(server::mech_step),
            mech_dispose: Some(server::mech_dispose),
            mech_free: None,
            setpass: self.row.makes_verifiers.then_some(setpass::setpass),
            user_query: None,
            idle: None,
            mech_avail: None,
            spare_fptr2: None,
        }
    }
}

fn offers() -> &'static [Offer] {
    static OFFERS: OnceLock<Vec<Offer>> = OnceLock::new();
    OFFERS.get_or_init(|| {
        let offer = |row: &'static Row| {
            let plus = find(&format!("{}-PLUS", row.name));
            Some(Offer { mechanism: find(row.name)?, plus, name: CString::new(row.name).ok()?, row })
        };
        ROWS.iter().filter_map(offer).collect()
    })
}

/// Those that the choice leaves, as positions in the list of all. A name with -PLUS means the one without it too.
fn chosen(side: Side, choice: Option<&str>) -> Vec<usize> {
    let names = |offer: &Offer, list: &str| {
        words(list).any(|word| {
            let word = word.strip_suffix("-PLUS").unwrap_or(word);
            word.eq_ignore_ascii_case(offer.mechanism.name)
        })
    };
    let wanted = |offer: &Offer| match choice {
        Some(list) => names(offer, list),
        None => side == Side::Client || offer.row.on_server == Offered::ByDefault,
    };
    offers().iter().enumerate().filter(|(_, offer)| wanted(offer)).map(|(at, _)| at).collect()
}

/// A table for each distinct choice, since libsasl2 keeps what it was given and may be told of another one when it begins again.
struct Tables<Plug: 'static>(Mutex<Vec<(Vec<usize>, &'static [Plug])>>);

// SAFETY: a table is never changed, and what it points to neither.
unsafe impl<Plug> Sync for Tables<Plug> {}

impl<Plug> Tables<Plug> {
    fn of(&self, chosen: Vec<usize>, plug: fn(&'static Offer) -> Plug) -> &'static [Plug] {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, table)) = tables.iter().find(|(known, _)| *known == chosen) {
            return table;
        }
        let table: Vec<Plug> = chosen.iter().filter_map(|at| offers().get(*at)).map(plug).collect();
        let table: &'static [Plug] = table.leak();
        tables.push((chosen, table));
        table
    }
}

/// What a client is told.
pub fn clients(host: Host) -> &'static [ClientPlug] {
    static TABLES: Tables<ClientPlug> = Tables(Mutex::new(Vec::new()));
    TABLES.of(chosen(Side::Client, host.option(CHOICE).as_deref()), Offer::client)
}

/// What a server is told.
pub fn servers(host: Host) -> &'static [ServerPlug] {
    static TABLES: Tables<ServerPlug> = Tables(Mutex::new(Vec::new()));
    TABLES.of(chosen(Side::Server, host.option(CHOICE).as_deref()), Offer::server)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(side: Side, choice: Option<&str>) -> Vec<&'static str> {
        chosen(side, choice).into_iter().map(|at| offers()[at].mechanism.name).collect()
    }

    #[test]
    fn each_row_is_a_mechanism_of_ours() {
        assert_eq!(offers().len(), ROWS.len());
        for offer in offers() {
            let binds = offer.row.client & feature::CHANNEL_BINDING != 0;
            assert_eq!(offer.plus.is_some(), binds, "{}", offer.mechanism.name);
            assert_eq!(offer.row.prompts.last(), Some(&callback::LIST_END));
        }
    }

    /// EXTERNAL is libsasl2's own; all else that needs nothing of the system is here.
    #[test]
    fn no_mechanism_of_ours_is_forgotten() {
        for mechanism in authen_sasl_rust::mechanism::ALL {
            let name = mechanism.name.strip_suffix("-PLUS").unwrap_or(mechanism.name);
            assert_eq!(ROWS.iter().any(|row| row.name == name), name != "EXTERNAL", "{name}");
        }
    }

    #[test]
    fn the_choice_is_a_list_of_names() {
        assert_eq!(names(Side::Server, Some("plain, SCRAM-SHA-256-PLUS NOSUCH")), ["SCRAM-SHA-256", "PLAIN"]);
        assert_eq!(names(Side::Client, Some("")), [""; 0]);
        assert_eq!(names(Side::Client, None).len(), ROWS.len());
    }

    #[test]
    fn tokens_are_checked_where_the_server_asks_for_it() {
        assert!(!names(Side::Server, None).contains(&"OAUTHBEARER"));
        assert_eq!(names(Side::Server, Some("OAUTHBEARER")), ["OAUTHBEARER"]);
        assert!(names(Side::Client, None).contains(&"OAUTHBEARER"));
    }

    #[test]
    fn the_same_choice_is_the_same_table() {
        static TABLES: Tables<ClientPlug> = Tables(Mutex::new(Vec::new()));
        let first = TABLES.of(chosen(Side::Client, Some("PLAIN")), Offer::client);
        let again = TABLES.of(chosen(Side::Client, Some("plain")), Offer::client);
        let other = TABLES.of(chosen(Side::Client, None), Offer::client);
        assert!(ptr::eq(first, again) && !ptr::eq(first, other));
        assert_eq!((first.len(), other.len()), (1, ROWS.len()));
    }
}
