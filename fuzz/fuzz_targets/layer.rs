//! The security layers of DIGEST-MD5 and their framing, both ways, at any split, whole and damaged.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust::contract::Abilities;
use authen_sasl_rust::error::{Error, Misuse};
use authen_sasl_rust::layer::{lock, SharedLayer};
use authen_sasl_rust_fuzz::facts::Facts;
use authen_sasl_rust_fuzz::input::Input;
use authen_sasl_rust_fuzz::memory;
use authen_sasl_rust_fuzz::network::{edit, Network};

/// Moves of one input, at most.
const MOVES: usize = 100;
/// Bytes of plaintext of one way, at most: each may be delivered by itself.
const MOST: usize = 8192;

/// One way of the traffic.
struct Way {
    from: SharedLayer,
    to: SharedLayer,
    /// All plaintext that was sent.
    sent: Vec<u8>,
    /// How much of it was read.
    read: usize,
    /// How much of it was compared with what came out.
    compared: usize,
    /// Frames, or what has become of them, and how much of them was delivered.
    wire: Vec<u8>,
    delivered: usize,
    tampered: bool,
}

impl Way {
    fn send(&mut self, length: usize) {
        let start = self.sent.len();
        let length = length.min(MOST - start);
        self.sent.extend((start..start + length).map(|at| (at * 7 + (at >> 8)) as u8));
        let (mut from, before) = (lock(&self.from), self.wire.len());
        match from.frame(&self.sent[start..], &mut self.wire) {
            Err(_) => {
                assert!(from.failure().is_some());
                assert_eq!(self.wire.len(), before);
                self.sent.truncate(start);
            }
            Ok(()) => {
                assert!(from.failure().is_none());
                let mut frames = &self.wire[before..];
                while let Some((header, rest)) = frames.split_first_chunk() {
                    let length = u32::from_be_bytes(*header) as usize;
                    assert!(length <= lock(&self.to).limits().max_received, "a frame of {length} bytes");
                    frames = &rest[length..];
                }
                assert!(frames.is_empty());
            }
        }
    }

    fn deliver(&mut self, count: usize) {
        let mut to = lock(&self.to);
        let before = to.failure();
        let bytes = &self.wire[self.delivered..];
        let bytes = &bytes[..count.min(bytes.len())];
        self.delivered += bytes.len();
        // What waits is copied when its buffer grows, to one of twice the size.
        let limit = 16_384 + 4 * (to.plaintext().len() + to.wanted().min(1 << 17) + bytes.len());
        let fed = memory::bounded(limit, || to.feed(bytes));
        match fed {
            Ok(()) => assert!(before.is_none() && to.wanted() > 0),
            Err(_) => {
                assert!(self.tampered || before.is_some(), "an honest frame is refused: {:?}", to.failure());
                assert!(to.failure().is_some() && to.plaintext().is_empty() && !to.in_frame());
                assert!(to.frame(b"x", &mut Vec::new()).is_err(), "a layer works on after an error");
                assert!(to.decode(&mut [0; 64]).is_err() && to.encode(&mut [0; 256], 1).is_err());
            }
        }
        // Whatever was done to the frames: what comes out is what went in, from the beginning.
        let known = self.compared - self.read;
        if let Some(new) = to.plaintext().get(known..) {
            assert!(self.sent[self.compared..].starts_with(new), "other plaintext than was sent");
            self.compared += new.len();
        }
    }

    /// What is on the way.
    fn left(&self) -> usize {
        self.wire.len() - self.delivered
    }

    fn take(&mut self, count: usize, separator: &[u8]) {
        let mut to = lock(&self.to);
        let found = to.find(separator);
        assert!(
            found <= to.plaintext().len()
                && to.plaintext()[..found].ends_with(&separator[..found.min(separator.len())])
        );
        assert!(self.sent[self.read..].starts_with(to.plaintext()));
        self.read += count.min(to.plaintext().len());
        to.consume(count);
    }

    /// One message without framing, which is possible where nothing is on the way.
    fn in_place(&mut self, length: usize) {
        let (mut from, mut to) = (lock(&self.from), lock(&self.to));
        let healthy = from.failure().is_none() && to.failure().is_none();
        if self.left() > 0 || to.in_frame() || !healthy || self.tampered {
            return;
        }
        let mut buffer = vec![b'm'; from.room(length)];
        if length > from.limits().max_plaintext {
            assert_eq!(from.encode(&mut buffer, length), Err(Error::Misuse(Misuse::MessageTooLong)));
            assert!(from.failure().is_none());
            return;
        }
        let frame = from.encode(&mut buffer, length).expect("a frame");
        assert!(frame <= from.room(length) && frame <= to.limits().max_received);
        let plain = to.decode(&mut buffer[..frame]).expect("its plaintext");
        assert!(plain == length && buffer[..plain].iter().all(|&b| b == b'm'));
    }
}

fn run(data: &[u8]) -> Option<()> {
    let mut input = Input::new(data);
    let mut facts = Facts::read("DIGEST-MD5", &mut input);
    (facts.client_knows, facts.user_known, facts.authzid) = (true, true, None);
    facts.server_abilities = Abilities::CREDENTIALS;
    let mut network = Network::new(&facts);
    network.play(&mut Input::new(&[]));
    let (client, server) = (network.evidence.client.session.layer()?, network.evidence.server.session.layer()?);
    let way = |from: &SharedLayer, to: &SharedLayer| Way {
        from: from.clone(),
        to: to.clone(),
        sent: Vec::new(),
        read: 0,
        compared: 0,
        wire: Vec::new(),
        delivered: 0,
        tampered: false,
    };
    let mut ways = [way(client, server), way(server, client)];
    for _ in 0..MOVES {
        if input.is_empty() {
            break;
        }
        let what = input.byte();
        let way = &mut ways[usize::from(what >> 7)];
        match what % 8 {
            0 => way.send(usize::from(input.byte())),
            1 => way.send(input.short() % 10_000),
            2 => way.deliver(usize::from(input.byte())),
            3 => {
                let mut cuts = input.cuts();
                while way.left() > 0 {
                    let count = cuts.next(way.left());
                    way.deliver(count);
                }
            }
            4 => {
                let before = way.wire.split_off(way.delivered);
                way.wire = edit(before.clone(), &mut input);
                way.delivered = 0;
                way.tampered |= way.wire != before;
            }
            5 => way.take(input.short(), input.string()),
            6 => way.in_place(input.short() % 10_000),
            _ => {
                // The peer is gone: in the middle of a frame that is an error, and only there.
                let mut to = lock(&way.to);
                let ends = to.in_frame() || to.failure().is_some();
                to.cut();
                assert_eq!(to.failure().is_some(), ends);
                way.tampered |= ends;
            }
        }
    }
    for way in ways.iter_mut().filter(|way| !way.tampered) {
        way.deliver(usize::MAX);
        let to = lock(&way.to);
        assert!(to.failure().is_some() || way.sent[way.read..] == *to.plaintext(), "something is missing");
    }
    Some(())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Policies under which there is no layer have nothing to show here.
    let _ = run(data);
});
