//! The security layers of DIGEST-MD5 and their framing: in both directions, with any split, intact and damaged.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust::contract::Abilities;
use authen_sasl_rust::error::{Error, Misuse};
use authen_sasl_rust::layer::{lock, SharedLayer};
use authen_sasl_rust_fuzz::facts::ExchangeFacts;
use authen_sasl_rust_fuzz::input::Input;
use authen_sasl_rust_fuzz::memory;
use authen_sasl_rust_fuzz::network::{damage, Network};

/// Maximum number of moves per input.
const MOVES: usize = 100;
/// Maximum plaintext per direction in bytes. Each byte may be delivered separately.
const MAX_PLAINTEXT: usize = 8192;

/// One direction of the traffic.
struct Direction {
    from: SharedLayer,
    to: SharedLayer,
    /// All plaintext that was sent.
    sent: Vec<u8>,
    /// How much of it was read.
    read: usize,
    /// How much of it was compared with the received plaintext.
    compared: usize,
    /// Frames, possibly damaged, and how much of them was delivered.
    wire: Vec<u8>,
    delivered: usize,
    tampered: bool,
}

impl Direction {
    fn send(&mut self, length: usize) {
        let start = self.sent.len();
        let length = length.min(MAX_PLAINTEXT - start);
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
        // A growing buffer is copied to one of twice the size.
        let limit = 16_384 + 4 * (to.plaintext().len() + to.wanted().min(1 << 17) + bytes.len());
        let fed = memory::bounded(limit, || to.feed(bytes));
        match fed {
            Ok(()) => assert!(before.is_none() && to.wanted() > 0),
            Err(_) => {
                assert!(self.tampered || before.is_some(), "an intact frame is refused: {:?}", to.failure());
                assert!(to.failure().is_some() && to.plaintext().is_empty() && !to.in_frame());
                assert!(to.frame(b"x", &mut Vec::new()).is_err(), "a layer still works after an error");
                assert!(to.decode(&mut [0; 64]).is_err() && to.encode(&mut [0; 256], 1).is_err());
            }
        }
        // Whatever was done to the frames, the received plaintext is a prefix of what was sent.
        let known = self.compared - self.read;
        if let Some(new) = to.plaintext().get(known..) {
            assert!(self.sent[self.compared..].starts_with(new), "plaintext that was not sent");
            self.compared += new.len();
        }
    }

    /// The number of bytes on their way.
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

    /// Encodes and decodes one message in place, which is possible while no frame is on its way.
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
    let mut facts = ExchangeFacts::read("DIGEST-MD5", &mut input);
    (facts.client_knows, facts.user_known, facts.authzid) = (true, true, None);
    facts.server_abilities = Abilities::CREDENTIALS;
    let mut network = Network::new(&facts);
    network.play(&mut Input::new(&[]));
    let (client, server) = (network.evidence.client.session.layer()?, network.evidence.server.session.layer()?);
    let direction = |from: &SharedLayer, to: &SharedLayer| Direction {
        from: from.clone(),
        to: to.clone(),
        sent: Vec::new(),
        read: 0,
        compared: 0,
        wire: Vec::new(),
        delivered: 0,
        tampered: false,
    };
    let mut directions = [direction(client, server), direction(server, client)];
    for _ in 0..MOVES {
        if input.is_empty() {
            break;
        }
        let what = input.byte();
        let direction = &mut directions[usize::from(what >> 7)];
        match what % 8 {
            0 => direction.send(usize::from(input.byte())),
            1 => direction.send(input.short() % 10_000),
            2 => direction.deliver(usize::from(input.byte())),
            3 => {
                let mut cuts = input.cuts();
                while direction.left() > 0 {
                    let count = cuts.next(direction.left());
                    direction.deliver(count);
                }
            }
            4 => {
                let before = direction.wire.split_off(direction.delivered);
                direction.wire = damage(before.clone(), &mut input);
                direction.delivered = 0;
                direction.tampered |= direction.wire != before;
            }
            5 => direction.take(input.short(), input.string()),
            6 => direction.in_place(input.short() % 10_000),
            _ => {
                // The peer disconnects: this is an error only in the middle of a frame.
                let mut to = lock(&direction.to);
                let ends = to.in_frame() || to.failure().is_some();
                to.cut();
                assert_eq!(to.failure().is_some(), ends);
                direction.tampered |= ends;
            }
        }
    }
    for direction in directions.iter_mut().filter(|direction| !direction.tampered) {
        direction.deliver(usize::MAX);
        let to = lock(&direction.to);
        assert!(to.failure().is_some() || direction.sent[direction.read..] == *to.plaintext(), "something is missing");
    }
    Some(())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Under some policies there is no layer: nothing to test.
    let _ = run(data);
});
