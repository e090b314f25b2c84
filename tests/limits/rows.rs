//! The table.

use authen_sasl_rust::authline::decoder::Decoder;
use authen_sasl_rust::authline::request::Request;
use authen_sasl_rust::authline::{LINE_LIMIT, NAME_LIMIT as MECHANISM_LIMIT, TOKEN_LIMIT};
use authen_sasl_rust::config::{ChannelBinding, Config, BINDINGS_LIMIT, VALUE_LIMIT};
use authen_sasl_rust::contract::{Abilities, Property, Side, MESSAGE_LIMIT, NAME_LIMIT, SECRET_LIMIT};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::mechanism;
use authen_sasl_rust::negotiate::NAMES_LIMIT;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::Session;
use authen_sasl_rust::store::verifier::{Verifier, VerifierFormat};
use authen_sasl_rust::wire::json;
use authen_sasl_rust::wire::saslprep::PREPARED_LIMIT;
use authen_sasl_rust::wire::scram::{NONCE_LIMIT, SALT_LIMIT};

use crate::parties::*;

/// One limit.
pub struct Row {
    pub what: &'static str,
    pub limit: usize,
    /// An input of that length, or with that count.
    pub input: fn(usize) -> Vec<u8>,
    /// What becomes of it.
    pub take: fn(&[u8]) -> Result<(), String>,
    /// What the refusal says.
    pub says: &'static str,
    /// The most memory that is held at a time, in bytes for each byte of the input.
    pub peak: usize,
}

const CHALLENGE: &str = "nonce=\"abc\",algorithm=md5-sess,qop=\"auth\",x=";

pub const ROWS: &[Row] = &[
    Row {
        what: "a message",
        says: "longer than 1048576",
        limit: MESSAGE_LIMIT,
        input: |n| in_its_place("n,,\x01auth=Bearer x\x01x=", n - 22, "\x01\x01"),
        take: |message| server("OAUTHBEARER", &[message], |_| {}),
        peak: 0,
    },
    Row {
        what: "a message of many pairs",
        says: "longer than 1048576",
        limit: MESSAGE_LIMIT,
        input: |n| {
            let (pairs, odd) = ((n - 19) / 3, (n - 19) % 3);
            let first = in_its_place("n,,\x01auth=Bearer x\x01x=", odd, "\x01");
            [first, bytes("x=\x01", pairs - 1), b"\x01".to_vec()].concat()
        },
        take: |message| server("OAUTHBEARER", &[message], |_| {}),
        peak: 0,
    },
    Row {
        what: "a token",
        says: "longer than 1048576 bytes",
        limit: MESSAGE_LIMIT - 18,
        input: |n| in_its_place("n,,\x01auth=Bearer ", n, "\x01\x01"),
        take: |message| server("OAUTHBEARER", &[message], |_| {}),
        peak: 1,
    },
    Row {
        what: "PLAIN: authcid",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| in_its_place("\0", n, "\0pencil"),
        take: |message| server("PLAIN", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "PLAIN: authzid",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| in_its_place("", n, "\0fred\0pencil"),
        take: |message| server("PLAIN", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "PLAIN: password",
        says: "longer than 1048576",
        limit: MESSAGE_LIMIT - 6,
        input: |n| in_its_place("\0fred\0", n, ""),
        take: |message| server("PLAIN", &[message], |_| {}),
        peak: 2,
    },
    Row {
        what: "LOGIN: name",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| bytes("a", n),
        take: |message| server("LOGIN", &[message, b"pencil"], |_| {}),
        peak: 8,
    },
    Row {
        what: "CRAM-MD5: name",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| in_its_place("", n, " 00112233445566778899aabbccddeeff"),
        take: |message| server("CRAM-MD5", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "SCRAM: name",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| in_its_place("n,,n=", n, ",r=abc"),
        take: |message| server("SCRAM-SHA-256", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "SCRAM: authzid",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| in_its_place("n,a=", n, ",n=fred,r=abc"),
        take: |message| server("SCRAM-SHA-256", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "OAUTHBEARER: a=",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| in_its_place("n,a=", n, ",\x01auth=Bearer x\x01\x01"),
        take: |message| server("OAUTHBEARER", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "OAUTHBEARER: host",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| in_its_place("n,,\x01host=", n, "\x01auth=Bearer x\x01\x01"),
        take: |message| server("OAUTHBEARER", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "XOAUTH2: user",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| in_its_place("user=", n, "\x01auth=Bearer x\x01\x01"),
        take: |message| server("XOAUTH2", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "EXTERNAL: authzid",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| bytes("a", n),
        take: |message| {
            server("EXTERNAL", &[message], |session| session.config.set("external_id", Some("x")).map(|_| ()).unwrap())
        },
        peak: 8,
    },
    Row {
        what: "ANONYMOUS: trace, in characters",
        says: "longer than 255 characters",
        limit: 255,
        input: |n| bytes("\u{e9}", n),
        take: |message| server("ANONYMOUS", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "SASLprep",
        says: "TooLong",
        limit: PREPARED_LIMIT,
        // U+FDFA becomes 18 characters, 33 bytes: nothing grows more.
        input: |n| [bytes("\u{fdfa}", n / 3), bytes("a", n % 3)].concat(),
        take: prepare,
        peak: 40,
    },
    Row {
        what: "SASLprep, marks in the wrong order",
        says: "TooLong",
        limit: PREPARED_LIMIT,
        input: |n| [bytes("\u{315}\u{316}", n / 4), bytes("a", n % 4)].concat(),
        take: prepare,
        peak: 40,
    },
    Row {
        what: "SCRAM: the client's nonce",
        says: "longer than 1024",
        limit: NONCE_LIMIT,
        input: |n| in_its_place("n,,n=fred,r=", n, ""),
        take: |message| server("SCRAM-SHA-256", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "SCRAM: both nonces",
        says: "longer than 2048",
        limit: 2 * NONCE_LIMIT,
        input: |n| in_its_place(&format!("r={}", client_nonce()), n - client_nonce().len(), ",s=AAAA,i=1"),
        take: |message| client("SCRAM-SHA-256", FRED, &[message]),
        peak: 8,
    },
    Row {
        what: "SCRAM: salt, in groups of three bytes",
        says: "longer than 1023",
        limit: SALT_LIMIT / 3,
        input: |n| [format!("r={}a,s=", client_nonce()).as_bytes(), &bytes("AAAA", n), b",i=1"].concat(),
        take: |message| client("SCRAM-SHA-256", FRED, &[message]),
        peak: 8,
    },
    Row {
        what: "SCRAM: iterations, with max_iterations at 5000",
        says: "are more than the most acceptable",
        limit: 5000,
        input: |n| format!("r={}a,s=AAAA,i={}", client_nonce(), n.min(i32::MAX as usize)).into_bytes(),
        take: |message| client("SCRAM-SHA-256", FRED, &[message]),
        peak: 8,
    },
    Row {
        what: "DIGEST-MD5: challenge",
        says: "longer than 2047",
        limit: 2047,
        input: |n| in_its_place(CHALLENGE, n - CHALLENGE.len(), ""),
        take: |message| client("DIGEST-MD5", FRED, &[message]),
        peak: 8,
    },
    Row {
        what: "DIGEST-MD5: challenge of many realms",
        says: "longer than 2047",
        limit: 2047,
        input: |n| {
            [
                CHALLENGE.as_bytes(),
                &bytes("a", 1 + (n - CHALLENGE.len() - 1) % 9),
                &bytes(",realm=\"\"", (n - CHALLENGE.len() - 1) / 9),
            ]
            .concat()
        },
        take: |message| client("DIGEST-MD5", FRED, &[message]),
        // A realm is a String, of 24 bytes, in a list that has grown and in its copy for the application.
        peak: 16,
    },
    Row {
        what: "DIGEST-MD5: response",
        says: "longer than 4095",
        limit: 4095,
        input: |n| digest_response("", n),
        take: |message| server("DIGEST-MD5", &[message], |_| {}),
        peak: 8,
    },
    Row {
        what: "OAuth's error object",
        says: "longer than 65536",
        limit: 1 << 16,
        input: |n| in_its_place("{\"status\":\"x\",\"scope\":\"", n - 25, "\"}"),
        take: |object| refused_token(object),
        // UTF-16, which has grown, and the text that is made of it.
        peak: 8,
    },
    Row {
        what: "OAuth's error object of many members",
        says: "longer than 65536",
        limit: 1 << 16,
        input: |n| {
            [b"{", &bytes("\"x\":\"\",", (n - 14) / 7)[..], &bytes(" ", (n - 14) % 7), b"\"status\":\"x\"}"].concat()
        },
        take: |object| refused_token(object),
        // Read once for each of the members that are looked for.
        peak: 2,
    },
    Row {
        what: "JSON's depth",
        says: "no flat object",
        limit: 0,
        input: |n| [b"{\"status\":", &bytes("{\"a\":", n)[..], b"\"x\"", &bytes("}", n), b"}"].concat(),
        take: |object| match json::member(text(object), "status") {
            Some(_) => Ok(()),
            None => Err("no flat object".into()),
        },
        peak: 1,
    },
    Row {
        what: "names of mechanisms, in names",
        says: "not supported",
        limit: NAMES_LIMIT - 1,
        input: |n| [bytes("X ", n), b"PLAIN".to_vec()].concat(),
        take: |list| {
            let mut client = Session::new(Side::Client, mechanism::registry());
            client.config.abilities = Abilities(!Abilities::ACTS_AS_OTHER.0);
            client.negotiate(text(list)).map(|_| ()).map_err(|error| error.to_string())
        },
        peak: 1,
    },
    Row {
        what: "AUTH: line, with its CRLF",
        says: "longer than 224",
        limit: LINE_LIMIT,
        input: |n| in_its_place("stats ", n - 8, "\r\n"),
        take: auth_request,
        peak: 8,
    },
    Row {
        what: "AUTH: mechanism's name",
        says: "is not 1 to 32 characters",
        limit: MECHANISM_LIMIT,
        // No longer than a line.
        input: |n| [b"auth-start ", &bytes("A", n.min(200))[..], b"\r\n"].concat(),
        take: auth_request,
        peak: 8,
    },
    Row {
        what: "AUTH: token that is announced",
        says: "the limit is 65536",
        limit: TOKEN_LIMIT,
        input: |n| format!("auth-step {n}\r\n").into_bytes(),
        take: auth_request,
        peak: 8,
    },
    Row {
        what: "AUTH: token",
        says: "the limit is 65536",
        limit: TOKEN_LIMIT,
        input: |n| [format!("auth-step {n}\r\n").as_bytes(), &bytes("a", n)].concat(),
        take: |stream| {
            // In pieces, so that its memory has to grow.
            let mut decoder = Decoder::<Request>::default();
            stream
                .chunks(100)
                .try_for_each(|mut piece| decoder.next(&mut piece).map(|_| ()))
                .map_err(|fault| fault.to_string())
        },
        peak: 3,
    },
    Row {
        what: "a layer's frame that is announced",
        says: "longer than 65536",
        limit: 65536,
        input: |n| (n as u32).to_be_bytes().to_vec(),
        take: |header| layer(65536).feed(header).map_err(|error| error.to_string()),
        peak: 8,
    },
    Row {
        what: "a layer's frame",
        says: "longer than 65536",
        limit: 65536,
        input: |n| [&(n as u32).to_be_bytes()[..], &bytes("a", n)].concat(),
        take: |frame| layer(65536).feed(frame).map_err(|error| error.to_string()),
        peak: 2,
    },
    Row {
        what: "an option's value",
        says: "at most 65536",
        limit: VALUE_LIMIT,
        input: |n| bytes("a", n),
        take: |value| {
            Config::default()
                .set("offered_mechanisms", Some(text(value)))
                .map(|_| ())
                .map_err(|error| error.to_string())
        },
        peak: 2,
    },
    Row {
        what: "channel binding data",
        says: "at most 65536",
        limit: VALUE_LIMIT,
        input: |n| bytes("a", n),
        take: |data| {
            let binding = ChannelBinding { kind: "x".into(), data: data.to_vec() };
            Config::default().set_binding(binding).map_err(|error| error.to_string())
        },
        peak: 2,
    },
    Row {
        what: "types of channel binding",
        says: "at most 16 types",
        limit: BINDINGS_LIMIT,
        input: |n| bytes("a", n),
        take: |count| {
            let mut config = Config::default();
            (0..count.len())
                .try_for_each(|n| config.set_binding(ChannelBinding { kind: format!("x{n}"), data: vec![0] }))
                .map_err(|error| error.to_string())
        },
        peak: 1000,
    },
    Row {
        what: "a client's name",
        says: "longer than 4096",
        limit: NAME_LIMIT,
        input: |n| bytes("a", n),
        take: |name| client("PLAIN", &[(Property::Authcid, name), (Property::Password, b"x")], &[]),
        peak: 8,
    },
    Row {
        what: "a client's password",
        says: "longer than 65536",
        limit: SECRET_LIMIT,
        input: |n| bytes("a", n),
        take: |password| client("PLAIN", &[(Property::Authcid, b"fred"), (Property::Password, password)], &[]),
        peak: 4,
    },
    Row {
        what: "a client's token",
        says: "longer than 65536",
        limit: SECRET_LIMIT,
        input: |n| bytes("a", n),
        take: |token| client("XOAUTH2", &[(Property::Authcid, b"fred"), (Property::Token, token)], &[]),
        peak: 4,
    },
    Row {
        what: "what getsecret gives",
        says: "longer than 65536",
        limit: SECRET_LIMIT,
        input: |n| bytes("a", n),
        take: known_by,
        peak: 4,
    },
    Row {
        what: "a verifier's iterations in PLAIN, with max_iterations at 5000",
        says: "more iterations than are allowed (property max_iterations)",
        limit: 5000,
        input: |n| {
            let key = format!("{}=", "A".repeat(43));
            format!("SCRAM-SHA-256${n}:AAAA${key}:{key}").into_bytes()
        },
        take: known_by,
        peak: 4,
    },
    Row {
        what: "a verifier's salt, in groups of three bytes",
        says: "1 to 1023 bytes",
        limit: SALT_LIMIT / 3,
        input: |n| {
            let key = Verifier::make(Hash::Sha256, "pencil", b"abc", 4096).unwrap().print(VerifierFormat::Rfc5803);
            key.replace("YWJj", &"YWJj".repeat(n)).into_bytes()
        },
        take: |key| Verifier::read(&Secret::new(key)).map(|_| ()).map_err(|error| error.to_string()),
        peak: 8,
    },
];
