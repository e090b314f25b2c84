//! Each length and count that a peer or the application controls, at its limit, one above, and far above, with
//! the memory that it costs. docs/limits.md has the same rows.

#[path = "../dialogue/mod.rs"]
mod dialogue;
mod memory;
mod parties;
mod rows;

use std::fmt::Write as _;

use authen_sasl_rust::authline::server::Server;
use authen_sasl_rust::contract::Abilities;
use authen_sasl_rust::world::LocalWorld;

use memory::measured;
use parties::layer;
use rows::ROWS;

/// What every row may take, whatever comes, in bytes: a session, its configuration, error texts.
const BASE: usize = 16 * 1024;

#[test]
fn each_limit_holds() {
    let (mut table, mut wrong) = (String::new(), String::new());
    for row in ROWS {
        for count in [row.limit, row.limit + 1, row.limit.max(1) * 16] {
            let input = (row.input)(count);
            let (result, peak, total) = measured(|| (row.take)(&input));
            let line = format!("{}, {count}: {} bytes cost {peak} at a time, {total} in all", row.what, input.len());
            let most = BASE + row.peak * input.len();
            let good = match &result {
                Ok(()) => count == row.limit,
                Err(told) => count > row.limit && told.contains(row.says),
            };
            if !good || peak > most || total > 4 * most {
                writeln!(wrong, "{line}: {result:?}, and {most} were expected").expect("a string");
            }
            writeln!(table, "{line}").expect("a string");
        }
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{wrong}");
}

/// What a peer sends behind a line that its reader waits for stays, and what was read goes.
#[test]
fn a_reader_who_always_leaves_something_holds_no_more() {
    let mut layer = layer(65536);
    let frame = [&1000_u32.to_be_bytes()[..], &[b'x'; 499], b"\n", &[b'x'; 500]].concat();
    let ((), peak, _) = measured(|| {
        for _ in 0..10_000 {
            layer.feed(&frame).expect("a frame");
            let line = layer.find(b"\n");
            assert!(line > 0);
            layer.consume(line);
        }
    });
    assert!(peak < 32 * 1024, "{peak} bytes");
}

/// A line of many frames is looked through once, and not once for each.
#[test]
fn a_long_line_in_short_frames() {
    const FRAMES: u32 = 400_000;
    let mut layer = layer(65536);
    let begin = std::time::Instant::now();
    for _ in 0..FRAMES {
        layer.feed(b"\0\0\0\x01x").expect("a frame");
        assert_eq!(layer.find(b"\r\n"), 0);
    }
    layer.feed(b"\0\0\0\x01\r").expect("a frame");
    assert_eq!(layer.find(b"\r\n"), 0);
    layer.feed(b"\0\0\0\x01\n").expect("a frame");
    assert_eq!(layer.find(b"\r\n"), FRAMES as usize + 2);
    // Looked through for each it takes a minute and more.
    assert!(begin.elapsed().as_secs() < 15, "{:?}", begin.elapsed());
}

/// Requests that cost little and are answered at length: what is answered is bounded by what was read at once.
#[test]
fn a_flood_of_short_requests() {
    let mut world = LocalWorld::default();
    let mut server = Server::new(
        "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN",
        authen_sasl_rust::mechanism::registry(),
    );
    server.session.config.abilities = Abilities::CREDENTIALS;
    let read = b"auth-list-mechanisms\r\n".repeat(4096 / 22);
    for _ in 0..100 {
        let (output, peak, _) = measured(|| {
            server.receive(&mut &read[..], &mut world.lend());
            server.output()
        });
        assert!(output.len() > read.len());
        assert!(peak < 16 * read.len(), "{peak} bytes");
    }
}
