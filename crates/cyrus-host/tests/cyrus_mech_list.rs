//! The option mech_list of the accounts: the administrator's word on what a server offers.
#![cfg(hosts_plugins)]

mod cyrus;

use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::Abilities;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::LocalWorld;
use cyrus::{accounts, sasldb, server, Folder};

fn listing(folder: &Folder, list: &str) -> Session {
    let path = sasldb(folder, "mail.example.org", &[("fred", "pencil")]);
    server(&accounts(&[("auxprop_plugin", "sasldb"), ("sasldb_path", &path), ("mech_list", list)]).unwrap())
}

fn offered(all: &str, server: &Session) -> Vec<&'static str> {
    server.negotiation().usable(all).iter().map(|mechanism| mechanism.name).collect()
}

/// A name is that of a mechanism with and without channel binding: else a client that can bind would be refused, as one whose list was
/// changed on the way.
#[test]
fn a_name_stands_for_both_forms() {
    let folder = Folder::new();
    let all = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN";
    for (list, expected) in [
        ("SCRAM-SHA-256", &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"][..]),
        ("plain scram-sha-256", &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"]),
        ("SCRAM-SHA-256-PLUS", &["SCRAM-SHA-256-PLUS"]),
        ("SCRAM-SHA-1 SCRAM-SHA", &["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"]),
    ] {
        let mut server = listing(&folder, list);
        server.config.set_binding(ChannelBinding { kind: "tls-exporter".into(), data: vec![7; 32] }).unwrap();
        assert_eq!(offered(all, &server), expected, "{list}");
    }
}

/// It holds for those mechanisms too that ask the accounts nothing, and for those that a callback could serve.
#[test]
fn it_holds_for_mechanisms_without_password() {
    let folder = Folder::new();
    let all = "SCRAM-SHA-256 PLAIN ANONYMOUS EXTERNAL OAUTHBEARER XOAUTH2";
    for (list, expected) in
        [("SCRAM-SHA-256", &["SCRAM-SHA-256"][..]), ("anonymous OAUTHBEARER", &["OAUTHBEARER", "ANONYMOUS"])]
    {
        let mut server = listing(&folder, list);
        server.config.abilities = Abilities::CHECK_TOKEN.union(Abilities::CHECK_PASSWORD);
        server.config.set("external_id", Some("fred")).unwrap();
        assert_eq!(offered(all, &server), expected, "{list}");
        for mechanism in ["ANONYMOUS", "EXTERNAL", "OAUTHBEARER", "PLAIN"] {
            if expected.contains(&mechanism) {
                continue;
            }
            let error = server.negotiate(mechanism).unwrap_err().to_string();
            assert!(error.contains("the mech_list of the accounts does not have it"), "{error}");
            // Nor does one get in that names it without having seen a list.
            server.pick(mechanism).unwrap();
            let outcome = server.start(Some(b"guest"), &mut LocalWorld::default().lend());
            assert_eq!(outcome, Outcome::Failed, "{mechanism}");
        }
    }
}
