//! The functions of the C surface that need no handle: names of options, random bytes, verifiers and their parts, plugins.
#![allow(unsafe_code)]

use std::ptr;

use crate::input::Input;
use crate::surface::*;

const MECHANISMS: [&str; 6] =
    ["SCRAM-SHA-1", "SCRAM-SHA-256", "scram-sha3-512", "SCRAM-SHA-384-PLUS", "PLAIN", "SCRAM-"];
/// The bits of the abilities that SCRAM keys have, one for each hash.
const KEY_BITS: u32 = 63 << 22;

/// Calls one of them.
pub fn call(input: &mut Input<'_>) {
    match input.byte() % 8 {
        0 => loaded_twice(),
        1 => random(input),
        2 => options(),
        3 => nearest(input),
        4 => {
            // SAFETY: the slice is valid for the call.
            let bits = unsafe { asr_key_abilities(Slice::of(input.optional())) };
            assert!(bits & !KEY_BITS == 0, "abilities of SCRAM keys: {bits:#x}");
        }
        5 => salted(input),
        6 => prepared(input),
        _ => {
            // Nothing was loaded for all connections.
            // SAFETY: the text is copied before it is freed.
            unsafe {
                let mut text = NONE;
                let owner = asr_plugins_report(&mut text);
                assert_eq!(text.text().as_deref(), Some(""));
                asr_text_free(owner);
            }
        }
    }
}

fn loaded_twice() {
    // SAFETY: there are no arguments.
    unsafe {
        asr_loaded();
        asr_loaded();
    }
}

/// Random bytes, which differ each time.
fn random(input: &mut Input<'_>) {
    let length = input.short() % 100;
    let fill = || {
        let mut buffer = vec![0; length];
        // SAFETY: the buffer has that length.
        assert_eq!(unsafe { asr_random(buffer.as_mut_ptr(), length) }, 1);
        buffer
    };
    assert!(length < 16 || fill() != fill(), "the same random bytes twice");
}

fn options() {
    // SAFETY: the text is copied before it is freed; slices are valid for each call.
    unsafe {
        let mut text = NONE;
        let owner = asr_option_names(&mut text);
        let names = text.text().expect("names");
        asr_text_free(owner);
        for name in names.split(' ') {
            assert_eq!(asr_knows(lend(name)), 1, "{name}");
        }
    }
}

/// The suggestion for a mistyped name is one of the known names.
fn nearest(input: &mut Input<'_>) {
    let (name, names, own) = (input.optional(), input.optional(), i32::from(input.byte() & 1));
    // SAFETY: slices are valid for the call; the result lies in `names` and is copied at once.
    if let Some(found) = unsafe { asr_nearest(Slice::of(name), Slice::of(names), own).copy() } {
        let known = names.is_some_and(|names| names.split(|byte| *byte == b' ').any(|name| name == found));
        assert!(known, "{found:?} is none of the names");
    }
}

/// SASLprep leaves printable ASCII unchanged, and forbids names that are empty or not UTF-8.
fn prepared(input: &mut Input<'_>) {
    let name = input.optional();
    let text = name.and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty());
    // SAFETY: the slice is valid for the call.
    let done = unsafe { asr_saslprep(Slice::of(name)) };
    let printable = text.is_some_and(|text| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert!((preparation::PREPARED..=preparation::FORBIDDEN).contains(&done));
    assert!(!printable || done == preparation::PREPARED, "printable ASCII is prepared");
    assert!(text.is_some() || done == preparation::FORBIDDEN, "{name:?}");
}

/// A verifier is the same whether it is made from the password or from the salted password.
fn salted(input: &mut Input<'_>) {
    let mechanism = *input.choose(&MECHANISMS);
    let iterations = *input.choose(&[1, 4, 4096, 1 << 31, u32::MAX]);
    let (password, salt) = (input.optional(), input.string());
    let made = |make: &dyn Fn(*mut Slice, *mut *mut std::ffi::c_void) -> i32| {
        let (mut text, mut owner) = (NONE, ptr::null_mut());
        let made = make(&mut text, &mut owner);
        // SAFETY: the text is copied before it is freed.
        unsafe {
            let text = text.text().expect("a text or a reason");
            asr_text_free(owner);
            if made == 1 {
                Ok(text)
            } else {
                Err(text)
            }
        }
    };
    let (of, with, salt) = (lend(mechanism), Slice::of(password), Slice::of(Some(salt)));
    // SAFETY: slices are valid for each call.
    let expected =
        made(&|out, owner| unsafe { asr_make_verifier(of, with, salt, iterations, lend("rfc5803"), out, owner) });
    // SAFETY: as above.
    let salted = made(&|out, owner| unsafe { asr_salted_password(of, with, salt, iterations, out, owner) });
    // What a server stores has no unassigned code points, but a password that a client sends may have some (RFC 4013 §2.5).
    let storable = !matches!(&expected, Err(reason) if reason.contains("unassigned code point"));
    assert!(
        salted.is_ok() == expected.is_ok() || salted.is_ok() && !storable,
        "{mechanism} {iterations}: {salted:?} {expected:?}"
    );
    let bytes = match &salted {
        Ok(hex) => {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("digits")).collect()
        }
        Err(_) => input.string().to_vec(),
    };
    // SAFETY: as above.
    let verifier = made(&|out, owner| unsafe {
        asr_verifier_of_salted(of, Slice::of(Some(&bytes)), salt, iterations, out, owner)
    });
    assert!(
        salted.is_err() || verifier == expected || verifier.is_ok() && !storable,
        "{mechanism} {iterations}: {verifier:?} {expected:?}"
    );
}
