//! The published exchanges and computed ones, byte for byte, both sides.

use super::*;

/// One file of `t/vectors`: `name: value` lines.
struct Vector(&'static str);

impl Vector {
    fn get(&self, name: &str) -> Option<&'static str> {
        self.all(name).next()
    }

    fn must(&self, name: &str) -> &'static str {
        self.get(name).unwrap_or_else(|| panic!("{name} is missing in\n{}", self.0))
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'static str> + 'a {
        self.0.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

macro_rules! vectors {
    ($($name:ident: $file:literal),* $(,)?) => {
        $(#[test] fn $name() { run(&Vector(include_str!(concat!("../../../../t/vectors/scram-", $file, ".txt")))); })*
    };
}

vectors! {
    rfc_5802_section_5: "sha-1",
    rfc_7677_section_3: "sha-256",
    sha_224: "sha-224",
    sha_384: "sha-384",
    sha_512: "sha-512",
    sha3_512: "sha3-512",
    sha_1_plus: "sha-1-plus",
    sha_224_plus: "sha-224-plus",
    sha_256_plus: "sha-256-plus",
    sha_384_plus: "sha-384-plus",
    sha_512_plus: "sha-512-plus",
    sha3_512_plus: "sha3-512-plus",
    names_with_escapes: "sha-256-escapes",
    names_outside_ascii: "sha-256-utf8",
}

fn run(vector: &Vector) {
    let mechanism = vector.must("mechanism");
    // The one escape of t/vectors/README.md that these files use.
    let password = &*vector.must("password").replace(r"\\", r"\");
    let mut client = Party::new(Side::Client, mechanism, vector.must("client-nonce"), Some(password));
    let mut server = Party::new(Side::Server, mechanism, vector.must("server-nonce"), vector.get("verifier"));
    client.authcid = vector.must("authcid").into();
    client.authzid = vector.get("authzid").map(Into::into);
    if let Some((kind, data)) = vector.get("channel-binding").and_then(|line| line.split_once(' ')) {
        let data = crate::crypto::hash::unhex(data);
        client.bind(kind, &data);
        server.bind(kind, &data);
    }
    let messages = exchange(&mut client, &mut server);
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    assert_eq!(messages.iter().step_by(2).map(text).collect::<Vec<_>>(), vector.all("C").collect::<Vec<_>>());
    assert_eq!(messages.iter().skip(1).step_by(2).map(text).collect::<Vec<_>>(), vector.all("S").collect::<Vec<_>>());
    assert_eq!(vector.must("expect"), "done");
    assert!(client.session.is_success() && server.session.is_success());
    assert_eq!(server.session.identity().authcid.as_deref(), vector.get("authcid"));
    assert_eq!(server.session.identity().authzid.as_deref(), vector.get("authzid"));

    // What was stored is what we would store.
    let stored = Verifier::read(&Secret::new(vector.must("verifier").as_bytes())).unwrap().unwrap();
    let made = Verifier::make(stored.hash, password, &stored.salt, stored.iterations).unwrap();
    assert_eq!(made.print(Default::default()), vector.must("verifier"));
}
