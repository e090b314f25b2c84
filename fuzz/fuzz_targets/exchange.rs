//! The real client against the real server of each mechanism, over a network that the input controls.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust::contract::Side;
use authen_sasl_rust::mechanism::ALL;
use authen_sasl_rust_fuzz::facts::ExchangeFacts;
use authen_sasl_rust_fuzz::input::Input;
use authen_sasl_rust_fuzz::network::Network;
use authen_sasl_rust_fuzz::party::Party;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let facts = ExchangeFacts::read(input.choose(ALL).name, &mut input);
    let mut network = Network::new(&facts);
    network.play(&mut input);
    // There is no TLS here, and without it the lock of OTP shows who is known (docs/decisions/0023-otp.md): its question to the
    // application is asked for a known user only, and an exchange that was abandoned locks the next one out.
    if !facts.client_knows && facts.mechanism != "OTP" {
        // An unknown user must look like a wrong password, whatever the client sends.
        let mut facts = facts;
        facts.user_known = !facts.user_known;
        let mut other = Party::new(Side::Server, &facts);
        let shapes: Vec<String> = network.calls.iter().filter_map(|call| Some(call.make(&mut other)?.1)).collect();
        assert_eq!(network.shapes, shapes, "the server shows whether it knows the user");
    }
});
