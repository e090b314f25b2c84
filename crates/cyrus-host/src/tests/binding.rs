//! Known attacks on plugins, from which the host protects them: binding.c.

use std::sync::Arc;

use super::{compile, load, Folder};
use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::Side;
use authen_sasl_rust::error::Code;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::LocalWorld;

/// A client asks for channel binding, and the server has no data: a plugin that does not expect this would read through a null pointer.
#[test]
fn cve_2026_132138() {
    let folder = Folder::new("binding");
    compile("binding.c", &folder.path("libbinding.so"), &["-shared", "-fPIC", "-DNAME=\"BINDS\""]);
    let plugins = load(&folder, None);
    let first = |message: &[u8], data: bool| {
        let mut server =
            Session::new(Side::Server, Arc::new(plugins.registry(&authen_sasl_rust::mechanism::registry())));
        if data {
            let binding = ChannelBinding { kind: "tls-exporter".into(), data: vec![7; 32] };
            server.config.set_binding(binding).unwrap();
        }
        server.negotiate("BINDS").unwrap();
        assert_eq!(server.start(Some(message), &mut LocalWorld::default().lend()), Outcome::Failed);
        let failure = server.failure().unwrap();
        (failure.error.code(), failure.to_string())
    };
    for message in ["p=tls-unique,,n=fred,r=abc", "F,p=tls-exporter,,n=fred", "p="] {
        let (code, text) = first(message.as_bytes(), false);
        assert_eq!(code, Code::BadBinding, "{text}");
        assert!(text.starts_with("BINDS server: "), "{text}");
    }
    assert_eq!(first(b"n,,n=fred,r=abc", false).0, Code::BadAuth, "the plugin's own");
    assert_eq!(first(b"p=tls-unique,,n=fred", true).0, Code::BadBinding, "the plugin's own, with data");
}

/// The server of SRP is available only if its plugin is named, not if all plugins are loaded.
#[test]
fn cve_2026_129483() {
    let folder = Folder::new("srp");
    compile("binding.c", &folder.path("libsrp.so"), &["-shared", "-fPIC", "-DNAME=\"SRP\""]);
    let all = load(&folder, None);
    assert!(all.find("SRP", Side::Server).is_none());
    let refused: Vec<String> = all.refused().iter().map(|r| format!("{}: {}", r.name, r.reason)).collect();
    assert_eq!(refused, ["srp: its SRP is used only if the plugin is named: see CVE-2026-129483"]);
    let named = load(&folder, Some(&["srp"]));
    assert!(named.find("SRP", Side::Server).is_some() && named.refused().is_empty(), "{:?}", named.refused());
}
