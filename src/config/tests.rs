//! Options and properties.

use super::*;

#[test]
fn options_are_read_back_and_reset() {
    let mut config = Config::default();
    for (name, value) in [
        ("minssf", "56"),
        ("iterations", "10000"),
        ("realm", "r"),
        ("delegated_ccache", "FILE:/tmp/c"),
        ("secflags", "noactive mutual_auth"),
    ] {
        assert_eq!(config.set(name, Some(value)), Ok(()));
        assert_eq!(config.get(name).as_deref(), Some(value));
        assert_eq!(config.set(name, None), Ok(()));
        assert_ne!(config.get(name).as_deref(), Some(value));
    }
}

#[test]
fn every_name_is_an_option_and_no_other_is() {
    for name in OPTIONS {
        assert_eq!(Config::default().set(name, None), Ok(()), "{name}");
    }
    for (name, text) in [
        ("sec_flags", "sec_flags: there is no such option; did you mean secflags?"),
        ("colour\n", "colour\\n: there is no such option"),
        ("", ": there is no such option"),
    ] {
        for value in [None, Some("1"), Some(&*"x".repeat(VALUE_LIMIT + 1))] {
            assert_eq!(Config::default().set(name, value).unwrap_err().to_string(), text);
        }
    }
}

#[test]
fn wrong_values_name_the_option_and_its_range() {
    let mut config = Config::default();
    for (name, value) in [
        ("minssf", "-1"),
        ("maxssf", "many"),
        ("iterations", "4095"),
        ("maxbuf", "4294967296"),
        ("secflags", "noplaintext nosuch"),
        ("channel_binding_policy", "maybe"),
        ("salt_key", "short"),
        ("fake_salt_key", "short"),
        ("delegated_ccache", ""),
        ("delegated_ccache", "FILE:/tmp/a\0b"),
    ] {
        let error = config.set(name, Some(value)).unwrap_err();
        assert!(error.to_string().starts_with(name), "{error}");
    }
}

#[test]
fn maxbuf_stays_below_what_three_octets_hold() {
    let mut config = Config::default();
    for value in ["16777215", "16777216", "4294967295"] {
        assert_eq!(config.set("maxbuf", Some(value)), Ok(()));
        assert_eq!(config.max_buf, FRAME_LIMIT);
    }
}

fn bound(kinds: &[&str]) -> Config {
    let mut config = Config::default();
    for kind in kinds {
        config.set_binding(ChannelBinding { kind: (*kind).into(), data: vec![1] }).unwrap();
    }
    config
}

fn kinds(config: &Config) -> Vec<&str> {
    config.bindings().map(|b| b.kind.as_str()).collect()
}

#[test]
fn bindings_vanish_when_disabled() {
    let mut config = bound(&["tls-exporter"]);
    config.set_binding(ChannelBinding { kind: "tls-exporter".into(), data: vec![2] }).unwrap();
    assert_eq!(config.binding("tls-exporter"), Some(&[2][..]));
    config.set("channel_binding_policy", Some("disable")).unwrap();
    assert_eq!(config.binding("tls-exporter"), None);
    assert!(!config.binds());
    config.set("channel_binding_policy", None).unwrap();
    assert!(config.binds());
    config.forget_bindings();
    assert!(!config.binds());
}

#[test]
fn bindings_stand_in_the_order_of_preference() {
    let mut config = bound(&["ldap", "tls-unique", "tls-server-end-point", "a.b", "tls-exporter"]);
    // Data of TLS before 1.3, which has tls-unique, and of TLS 1.3, which does not.
    assert_eq!(kinds(&config), ["tls-unique", "tls-server-end-point", "tls-exporter", "a.b", "ldap"]);
    let new = bound(&["ldap", "tls-server-end-point", "a.b", "tls-exporter"]);
    assert_eq!(kinds(&new), ["tls-exporter", "tls-server-end-point", "a.b", "ldap"]);
    config.set("offered_bindings", Some("ldap, tls-unique other")).unwrap();
    assert_eq!(kinds(&config), ["tls-unique", "ldap"]);
    config.set("offered_bindings", Some("")).unwrap();
    assert!(!config.binds());
    config.set("offered_bindings", None).unwrap();
    assert_eq!(kinds(&config).len(), 5);
}

#[test]
fn a_binding_has_a_name_and_data() {
    let mut config = Config::default();
    for (kind, data) in [("", &b"x"[..]), ("tls,unique", b"x"), ("a=b", b"x"), ("\u{e4}", b"x"), ("ldap", b"")] {
        let error = config.set_binding(ChannelBinding { kind: kind.into(), data: data.into() }).unwrap_err();
        assert!(error.to_string().starts_with("channel_binding"), "{error}");
    }
    assert!(!config.binds());
}

#[test]
fn tls_gives_strength_unless_the_caller_does() {
    let mut config = Config::default();
    config.set_tls_ssf(256);
    assert_eq!(config.external_ssf, 256);
    config.set("externalssf", Some("0")).unwrap();
    config.set_tls_ssf(128);
    assert_eq!(config.external_ssf, 0);
    config.set("externalssf", None).unwrap();
    assert_eq!(config.external_ssf, 128);
}
