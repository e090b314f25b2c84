//! The layers: frames of other implementations, damaged frames of every kind, and the negotiation.

use crate::contract::{SecurityLayer, Side};
use crate::crypto::hash::unhex;
use crate::error::{Error, PeerMisbehaved, Policy};
use crate::layer::lock;
use crate::session::pair::{run, Peer};
use crate::session::Outcome;

use super::layer::Layer;
use super::quality::Cipher;
use super::response::SessionKey;

const VECTORS: &str = include_str!("../../../t/vectors/layers/digest-md5.txt");
const ALL: [Option<Cipher>; 6] = [
    None,
    Some(Cipher::Rc4),
    Some(Cipher::TripleDes),
    Some(Cipher::Des),
    Some(Cipher::Rc4With56),
    Some(Cipher::Rc4With40),
];

fn pair(cipher: Option<Cipher>, key: &SessionKey) -> (Layer, Layer) {
    (Layer::new(Side::Client, cipher, key, 65536, 65536), Layer::new(Side::Server, cipher, key, 65536, 65536))
}

fn key() -> SessionKey {
    SessionKey::new([0x5A; 16])
}

fn seal(layer: &mut Layer, text: &[u8]) -> Vec<u8> {
    let mut buffer = text.to_vec();
    buffer.resize(layer.room(text.len()), 0);
    let length = layer.encode(&mut buffer, text.len()).unwrap();
    assert_eq!(length, buffer.len());
    buffer
}

fn open(layer: &mut Layer, frame: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buffer = frame.to_vec();
    let length = layer.decode(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

#[test]
fn frames_that_others_computed() {
    let mut compared = 0;
    for section in VECTORS.split("\n\n").skip(1) {
        let field = |name: &str| section.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let session: [u8; 16] = unhex(field("session-key: ")).try_into().unwrap();
        let (mut client, mut server) = pair(Cipher::find(field("cipher: ").as_bytes()), &SessionKey::new(session));
        for line in section.lines().skip(2) {
            let mut columns = line.split(' ');
            let way = columns.next().unwrap();
            let [text, frame] = [columns.next(), columns.next()].map(|hex| unhex(hex.unwrap()));
            let (from, to) = if way == "client:" { (&mut client, &mut server) } else { (&mut server, &mut client) };
            assert_eq!(seal(from, &text), frame, "{line}");
            assert_eq!(open(to, &frame), Ok(text), "{line}");
            compared += 1;
        }
    }
    assert_eq!(compared, 6 * 14);
}

#[test]
fn no_bit_of_a_frame_may_change() {
    for cipher in ALL {
        for length in [0, 1, 5, 6, 21] {
            let text = vec![7; length];
            let frame = seal(&mut pair(cipher, &key()).0, &text);
            assert_eq!(open(&mut pair(cipher, &key()).1, &frame).as_ref(), Ok(&text));
            for at in 0..frame.len() {
                for bit in 0..8 {
                    let mut damaged = frame.clone();
                    damaged[at] ^= 1 << bit;
                    assert!(open(&mut pair(cipher, &key()).1, &damaged).is_err(), "{cipher:?} {length} {at} {bit}");
                }
            }
            for cut in 0..frame.len() {
                assert!(open(&mut pair(cipher, &key()).1, &frame[..cut]).is_err(), "{cipher:?} {length} {cut}");
                assert!(open(&mut pair(cipher, &key()).1, &frame[cut + 1..]).is_err());
            }
            assert!(open(&mut pair(cipher, &key()).1, &[&frame[..], &[0]].concat()).is_err());
        }
    }
}

#[test]
fn frames_come_once_and_in_order() {
    for cipher in ALL {
        let (mut client, mut server) = pair(cipher, &key());
        let [first, second] = [&b"first"[..], b"second"].map(|text| seal(&mut client, text));
        assert_eq!(open(&mut server, &first).unwrap(), b"first");
        let error = open(&mut server, &first).unwrap_err();
        assert!(
            matches!(
                error,
                Error::PeerMisbehaved { reason: PeerMisbehaved::MessageType | PeerMisbehaved::OutOfSequence, .. }
            ),
            "{error}"
        );
        assert!(open(&mut pair(cipher, &key()).1, &second).is_err(), "the first one was lost");
        // A frame that is sent back to its sender is refused.
        let (mut client, _) = pair(cipher, &key());
        let error = open(&mut client, &first).unwrap_err();
        assert!(matches!(error, Error::PeerMisbehaved { reason: PeerMisbehaved::Damaged, .. }), "{error}");
    }
}

#[test]
fn no_frame_is_longer_than_the_peer_receives() {
    for cipher in ALL {
        for limit in (17..120).chain([65535, 65536, 0xFF_FFFF]) {
            let layer = Layer::new(Side::Client, cipher, &key(), limit, 17);
            let most = layer.limits().max_plaintext;
            assert!(most == 0 || layer.room(most) <= limit as usize, "{cipher:?} {limit}");
            assert!(layer.room(most + 1) > limit as usize, "{cipher:?} {limit}: there is more room");
            assert_eq!(most == 0, limit < 22 && cipher.is_some_and(Cipher::is_block));
        }
    }
}

fn peers(service: &str, client: &[(&str, &str)], server: &[(&str, &str)]) -> (Peer, Peer, bool) {
    let mut c = Peer::client("DIGEST-MD5", "chris", "secret").of(service, "elwood.innosoft.com");
    let mut s = Peer::server("DIGEST-MD5", Some("secret")).of(service, "elwood.innosoft.com");
    for (peer, options) in [(&mut c, client), (&mut s, server)] {
        for (name, value) in options {
            assert_eq!(peer.session.config.set(name, Some(value)), Ok(()), "{name}");
        }
    }
    let good = run(&mut c, &mut s);
    (c, s, good)
}

/// The limits of the layer on both sides of an exchange: strength, longest plaintext, longest received frame.
fn layer(peer: &Peer) -> (u32, usize, usize) {
    peer.session.layer().map_or((0, 0, 0), |layer| {
        let limits = lock(layer).limits();
        (limits.ssf, limits.max_plaintext, limits.max_received)
    })
}

#[test]
fn what_is_negotiated() {
    for (client, server, ssf) in [
        (&[][..], &[][..], Some(128)),
        (&[("maxssf", "0")], &[], Some(0)),
        (&[], &[("maxssf", "0")], Some(0)),
        (&[("maxssf", "1")], &[], Some(1)),
        (&[("maxssf", "112")], &[], Some(112)),
        (&[("maxssf", "111")], &[], Some(56)),
        (&[("maxssf", "55")], &[], Some(55)),
        (&[("maxssf", "54")], &[], Some(40)),
        (&[("maxssf", "39")], &[], Some(1)),
        (&[("minssf", "128")], &[("maxssf", "127")], None),
        (&[("minssf", "113")], &[], Some(128)),
        (&[("minssf", "56")], &[("no_confidentiality", "1")], None),
        (&[("minssf", "1")], &[("no_confidentiality", "1")], Some(1)),
        (&[], &[("no_confidentiality", "1")], Some(1)),
        (&[], &[("no_integrity", "1")], Some(0)),
        (&[("minssf", "1")], &[("no_integrity", "1")], None),
        (&[("maxssf", "0")], &[("minssf", "1")], None),
        (&[("maxssf", "0")], &[("minssf", "1"), ("externalssf", "1")], Some(0)),
        (&[("maxssf", "256"), ("externalssf", "256")], &[], Some(0)),
        (&[("maxssf", "257"), ("externalssf", "256")], &[], Some(1)),
        (&[("minssf", "2"), ("maxssf", "1")], &[], None),
        (&[], &[("minssf", "2"), ("no_integrity", "1")], None),
        (&[("maxbuf", "0")], &[], Some(0)),
        (&[], &[("maxbuf", "16")], Some(0)),
        (&[("maxbuf", "16"), ("minssf", "1")], &[], None),
    ] {
        let (client_side, server_side, good) = peers("ldap", client, server);
        assert_eq!(good.then(|| layer(&client_side).0), ssf, "{client:?} {server:?}");
        if ssf.is_some() {
            assert_eq!(layer(&client_side).0, layer(&server_side).0);
        } else {
            let error = client_side.session.failure().or(server_side.session.failure()).unwrap();
            assert!(matches!(error.error, Error::Policy(Policy::Strength(_) | Policy::NoMechanism(_))), "{error}");
        }
    }
    let mut client = Peer::client("DIGEST-MD5", "chris", "secret").of("ldap", "elwood.innosoft.com");
    client.session.config.set("minssf", Some("129")).unwrap();
    assert_eq!(client.start(None), Outcome::Failed);
    assert!(client.error().to_string().contains("minssf is 129; this mechanism offers at most 128"));
}

#[test]
fn each_side_respects_what_the_other_receives() {
    for (client, server) in [(65536, 65536), (1024, 300), (17, 0xFF_FFFF), (0xFF_FFFF, 17), (65536, 48), (65536, 49)] {
        for (strength, more) in [("1", 16), ("128", 16), ("112", 24)] {
            let limits = [client, server].map(|limit: usize| limit.to_string());
            let client_options = [("maxbuf", limits[0].as_str()), ("minssf", strength), ("maxssf", strength)];
            let (c, s, good) = peers("ldap", &client_options, &[("maxbuf", &limits[1])]);
            if strength == "112" && client.min(server) < 22 {
                assert!(!good, "no room for a block");
                continue;
            }
            assert!(good, "{client} {server} {strength}: {:?} {:?}", c.session.failure(), s.session.failure());
            let ((_, to_server, c_in), (_, to_client, s_in)) = (layer(&c), layer(&s));
            assert_eq!((c_in, s_in), (client, server));
            assert!(to_client + 16 <= client && to_client + more + 8 >= client, "{to_client} {client}");
            assert!(to_server + 16 <= server && to_server + more + 8 + 32 >= server, "{to_server} {server}");
        }
    }
}

#[test]
fn programs_that_know_no_layer_get_none() {
    for service in ["imap", "SMTP", "pop", "xmpp", ""] {
        assert_eq!(layer(&peers(service, &[], &[]).0).0, 0, "{service}");
        assert_eq!(layer(&peers(service, &[("maxssf", "56")], &[("maxssf", "999")]).0).0, 56, "{service}");
        assert_eq!(layer(&peers(service, &[("minssf", "1")], &[("minssf", "1")]).0).0, 128, "{service}");
        // A server that requires one is refused with the reason.
        let (client, _, good) = peers(service, &[], &[("minssf", "1")]);
        assert!(!good && client.error().to_string().contains("(property maxssf is 0"), "{}", client.error());
    }
    for service in ["ldap", "host", "myown"] {
        assert_eq!(layer(&peers(service, &[], &[]).0).0, 128, "{service}");
    }
}

#[test]
fn both_sides_talk() {
    let (client, server, good) = peers("ldap", &[], &[]);
    assert!(good);
    let (client, server) = (client.session.layer().unwrap(), server.session.layer().unwrap());
    for (from, to) in [(client, server), (server, client), (client, server)] {
        let text: Vec<u8> = (0..200_000).map(|n| (n % 251) as u8).collect();
        let mut wire = Vec::new();
        lock(from).frame(&text, &mut wire).unwrap();
        assert!(!wire.windows(16).any(|window| window == &text[..16]));
        for piece in wire.chunks(4099) {
            lock(to).feed(piece).unwrap();
        }
        assert_eq!(lock(to).plaintext(), text);
        lock(to).consume(text.len());
    }
}

/// A client that sends a choice that was not offered, or none.
#[test]
fn a_server_takes_only_what_it_offered() {
    for (response, good) in [
        ("qop=auth-conf,cipher=rc4", true),
        ("qop=auth-conf,cipher=\"rc4\"", true),
        ("qop=auth-conf,cipher=rc4-40", false),
        ("qop=auth-conf,cipher=aes", false),
        ("qop=auth-conf", false),
        ("qop=auth-int,cipher=des", false),
        ("qop=auth", false),
    ] {
        let mut server = Peer::server("DIGEST-MD5", Some("secret")).of("ldap", "h");
        server.session.config.set("minssf", Some(if response.contains("int") { "1" } else { "56" })).unwrap();
        server.start(None);
        let offered = String::from_utf8_lossy(server.session.message()).into_owned();
        assert!(offered.contains(",maxbuf=65504,") && offered.contains("auth-conf\",cipher=\"rc4,3des,"), "{offered}");
        let mut client = Peer::client("DIGEST-MD5", "chris", "secret").of("ldap", "h");
        client.start(None);
        client.step(server.session.message());
        let sent = String::from_utf8_lossy(client.session.message()).into_owned();
        let chosen = "qop=auth-conf,cipher=rc4";
        assert!(sent.contains(chosen), "{sent}");
        let outcome = server.step(sent.replace(chosen, response).as_bytes());
        // A qop other than the one in the digest fails when the digest is checked, if not before.
        assert_eq!(outcome == Outcome::Send, good, "{response}");
    }
}
