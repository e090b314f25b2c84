//! The real client against the real server of each mechanism, over a network that the input commands.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust::mechanism::ALL;
use authen_sasl_rust_fuzz::input::Input;
use authen_sasl_rust_fuzz::network::Network;
use authen_sasl_rust_fuzz::party::Facts;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let play = |turn: fn(&mut Facts)| {
        let mut input = Input::new(data);
        let mut facts = Facts::read(input.choose(ALL).name, &mut input);
        turn(&mut facts);
        let mut network = Network::new(&facts);
        network.play(&mut input);
        (facts, network.shapes)
    };
    let (facts, shapes) = play(|_| {});
    if !facts.client_knows {
        // What a wrong password shows, an unknown user must show.
        let (_, others) = play(|facts| facts.user_known = !facts.user_known);
        assert_eq!(shapes, others, "the server shows whether it knows the user");
    }
});
