//! Options by name, mechanism lists, and negotiation.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust::config::{self, BindingPolicy, ChannelBinding, Config};
use authen_sasl_rust::contract::{Abilities, SecurityFlags, Side};
use authen_sasl_rust::error::escaped;
use authen_sasl_rust::mechanism;
use authen_sasl_rust::negotiate;
use authen_sasl_rust::session::Session;
use authen_sasl_rust_fuzz::input::Input;

/// An option, or an unknown one.
fn option(at: u8) -> &'static str {
    config::OPTIONS.get(usize::from(at) % (config::OPTIONS.len() + 1)).copied().unwrap_or("no such option")
}

/// Sets an option. Reading must return the value, and a refused value must not change anything.
fn set(config: &mut Config, name: &str, value: Option<&str>) {
    let before = all(config);
    match config.set(name, value) {
        Err(error) => {
            // A long name is cut; the text begins with what is left of it.
            let begin: String = name.chars().take(50).collect();
            assert!(error.to_string().starts_with(&escaped(&begin)), "{error}");
            assert_eq!(all(config), before, "{name}: a refused value has changed something");
        }
        Ok(()) => {
            assert!(config::OPTIONS.contains(&name), "{name}: an unknown option is accepted");
            let read = config.get(name);
            assert!(!name.ends_with("salt_key") || read.is_none(), "a secret can be read");
            if let (Some(text), Some(_)) = (&read, value) {
                assert_eq!(config.set(name, Some(text)), Ok(()), "{name}: {text} is not accepted again");
                assert_eq!(config.get(name), read, "{name}");
            }
        }
    }
}

fn all(config: &Config) -> Vec<Option<String>> {
    config::OPTIONS.iter().map(|name| config.get(name)).collect()
}

fn choose(session: &Session, list: &str) {
    let (config, negotiation) = (&session.config, session.negotiation());
    let usable = negotiation.usable(list);
    let named = |name: &str| negotiate::names(list).any(|one| one.eq_ignore_ascii_case(name));
    for mechanism in &usable {
        assert!(named(mechanism.name) && negotiation.rejection_reason(*mechanism).is_none());
        let plain = ["PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"].contains(&mechanism.name);
        let forbidden = config.secflags.contains(SecurityFlags::NOPLAINTEXT) && config.external_ssf == 0;
        assert!(!(plain && forbidden), "{} without TLS, against noplaintext", mechanism.name);
        let required = config.binding_policy == BindingPolicy::Require;
        assert!(!required || mechanism.name.ends_with("-PLUS"), "{} does not bind", mechanism.name);
        assert!(config.min_ssf <= config.external_ssf.saturating_add(mechanism.max_ssf));
    }
    assert!(usable.windows(2).all(|pair| pair[0].rank >= pair[1].rank && pair[0].name != pair[1].name));
    match negotiation.choose(list) {
        Ok(chosen) => assert_eq!(Some(chosen.name), usable.first().map(|first| first.name)),
        Err(error) => {
            assert!(usable.is_empty(), "no mechanism is chosen of {} usable ones", usable.len());
            // One clause per name, for at most 32 names, so a long list does not make an endless text.
            assert!(error.to_string().len() < 32 * 400);
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let what = input.byte();
    let side = if what & 1 == 0 { Side::Client } else { Side::Server };
    let mut session = Session::new(side, authen_sasl_rust::mechanism::registry());
    session.config.abilities = Abilities(u32::from(input.byte()) | u32::from(input.byte()) << 16);
    for _ in 0..what >> 4 {
        let name = input.byte();
        match (name, input.optional()) {
            (0xff, data) => {
                let data = data.unwrap_or_default().to_vec();
                let kind = String::from_utf8_lossy(input.string()).into_owned();
                let fits = !kind.is_empty() && !data.is_empty() && !kind.contains([',', '=', ' ', '\0']);
                let bound = session.config.set_binding(ChannelBinding { kind, data });
                assert!(fits || bound.is_err());
            }
            (0xfe, _) => session.config.set_tls_ssf(input.short() as u32),
            (0xfd, name) => {
                let name = String::from_utf8_lossy(name.unwrap_or_default());
                set(&mut session.config, &name, Some("1"));
            }
            (name, value) => {
                let value = value.map(String::from_utf8_lossy);
                set(&mut session.config, option(name), value.as_deref());
            }
        }
    }
    let list = String::from_utf8_lossy(input.rest()).into_owned();
    choose(&session, &list);
    match session.negotiate(&list) {
        Ok(chosen) => assert!(mechanism::find(chosen.name).is_some_and(|found| found.name == chosen.name)),
        Err(_) => assert!(session.mechanism().is_none()),
    }
});
