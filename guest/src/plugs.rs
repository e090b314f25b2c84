//! The tables of mechanisms that libsasl2 gets.

use std::ffi::CStr;
use std::sync::{Mutex, PoisonError};

use authen_sasl_rust::contract::Side;
use authen_sasl_rust::wire::names::words;
use saslplug::{ClientPlug, ServerPlug};

use crate::host::Host;
use crate::offer::{offers, Offer};
use crate::{client, server, setpass};

/// The administrator's list of our mechanisms, an option of libsasl2.
const MECH_LIST: &CStr = c"rust_mech_list";

fn client_plug(offer: &'static Offer) -> ClientPlug {
    ClientPlug {
        mech_name: offer.name(),
        max_ssf: offer.mechanism.max_ssf,
        security_flags: offer.security(),
        features: offer.features(Side::Client),
        required_prompts: offer.prompts(),
        glob_context: offer.context(),
        mech_new: Some(client::mech_new),
        mech_step: Some(client::mech_step),
        mech_dispose: Some(client::mech_dispose),
        mech_free: None,
        idle: None,
        spare_fptr1: None,
        spare_fptr2: None,
    }
}

fn server_plug(offer: &'static Offer) -> ServerPlug {
    ServerPlug {
        mech_name: offer.name(),
        max_ssf: offer.mechanism.max_ssf,
        security_flags: offer.security(),
        features: offer.features(Side::Server),
        glob_context: offer.context(),
        mech_new: Some(server::mech_new),
        mech_step: Some(server::mech_step),
        mech_dispose: Some(server::mech_dispose),
        mech_free: None,
        setpass: offer.makes_verifiers().then_some(setpass::setpass),
        user_query: None,
        idle: None,
        mech_avail: None,
        spare_fptr2: None,
    }
}

/// The offers that the administrator's list names, or the default ones without a list, as indices. A name with -PLUS also means the
/// one without.
fn chosen(side: Side, list: Option<&str>) -> Vec<usize> {
    let names = |list: &str, offer: &Offer| {
        words(list).any(|word| {
            let word = word.strip_suffix("-PLUS").unwrap_or(word);
            word.eq_ignore_ascii_case(offer.mechanism.name)
        })
    };
    let is_chosen = |offer: &Offer| list.map_or(offer.is_default(side), |list| names(list, offer));
    offers().iter().enumerate().filter(|(_, offer)| is_chosen(offer)).map(|(at, _)| at).collect()
}

/// One table for each distinct choice. They stay, since libsasl2 keeps the table that it got, and may ask again with another choice.
struct Tables<Plug: 'static>(Mutex<Vec<(Vec<usize>, &'static [Plug])>>);

// SAFETY: neither a table nor what it points to is ever changed.
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

/// The mechanisms of a client.
pub fn clients(host: Host) -> &'static [ClientPlug] {
    static TABLES: Tables<ClientPlug> = Tables(Mutex::new(Vec::new()));
    TABLES.of(chosen(Side::Client, host.option(MECH_LIST).as_deref()), client_plug)
}

/// The mechanisms of a server.
pub fn servers(host: Host) -> &'static [ServerPlug] {
    static TABLES: Tables<ServerPlug> = Tables(Mutex::new(Vec::new()));
    TABLES.of(chosen(Side::Server, host.option(MECH_LIST).as_deref()), server_plug)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    fn names(side: Side, choice: Option<&str>) -> Vec<&'static str> {
        chosen(side, choice).into_iter().map(|at| offers()[at].mechanism.name).collect()
    }

    #[test]
    fn the_choice_is_a_list_of_names() {
        assert_eq!(names(Side::Server, Some("plain, SCRAM-SHA-256-PLUS NOSUCH")), ["SCRAM-SHA-256", "PLAIN"]);
        assert_eq!(names(Side::Client, Some("")), [""; 0]);
        assert_eq!(names(Side::Client, None).len(), offers().len());
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
        let first = TABLES.of(chosen(Side::Client, Some("PLAIN")), client_plug);
        let again = TABLES.of(chosen(Side::Client, Some("plain")), client_plug);
        let other = TABLES.of(chosen(Side::Client, None), client_plug);
        assert!(ptr::eq(first, again) && !ptr::eq(first, other));
        assert_eq!((first.len(), other.len()), (1, offers().len()));
    }
}
