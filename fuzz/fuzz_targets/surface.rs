//! The C surface: handles of a client and a server, called in any order with any bytes, and null where allowed.
#![no_main]
#![allow(missing_docs, unsafe_code)]

use std::ptr;

use authen_sasl_rust::contract::Property;
use authen_sasl_rust::wire::scram::base64;
use authen_sasl_rust_fuzz::functions;
use authen_sasl_rust_fuzz::input::Input;
use authen_sasl_rust_fuzz::surface::*;

/// Maximum number of calls per input.
const CALLS: usize = 100;
const LISTS: [&str; 6] = [
    "SCRAM-SHA-256",
    "PLAIN LOGIN ANONYMOUS EXTERNAL",
    "CRAM-MD5",
    "DIGEST-MD5",
    "OAUTHBEARER XOAUTH2",
    "SCRAM-SHA-1-PLUS SCRAM-SHA3-512",
];
const OPTIONS: [&str; 14] = [
    "maxssf",
    "minssf",
    "maxbuf",
    "secflags",
    "realm",
    "external_id",
    "iterations",
    "channel_binding_policy",
    "no_integrity",
    "offered_mechanisms",
    "offered_bindings",
    "fake_salt_key",
    "externalssf",
    "authcid",
];
const PROPERTIES: [&str; 8] = ["user", "authcid", "authzid", "realm", "ssf", "maxout", "mechname", "message_absent"];

/// What a C program holds.
struct Program {
    handles: [Handle; 2],
    keys: Keys,
    layers: Vec<Layer>,
    /// The last message of each side, for the other one.
    sent: [Vec<u8>; 2],
    frames: [Vec<u8>; 2],
    /// Questions were answered with arbitrary values.
    invented: [bool; 2],
}

/// A new handle, with limits that keep key derivations cheap. A server wants stronger verifiers.
fn open(side: usize, abilities: u32) -> Handle {
    // SAFETY: the slices are valid for the calls, and the handle is this thread's.
    unsafe {
        let handle = asr_new(side as i32, lend("ldap"), lend("mail.example.com"), abilities);
        limit_iterations(handle);
        let mut error = NONE;
        assert_eq!(asr_set(handle, lend("upgrade"), lend("SCRAM-SHA-1 4096"), &mut error), 1);
        handle
    }
}

fn limit_iterations(handle: Handle) {
    let mut error = NONE;
    for (name, value) in [("min_iterations", "1"), ("max_iterations", "4096")] {
        // SAFETY: as in `open`.
        assert_eq!(unsafe { asr_set(handle, lend(name), lend(value), &mut error) }, 1);
    }
}

impl Program {
    fn call(&mut self, input: &mut Input<'_>) {
        let (what, which) = (input.byte(), usize::from(input.byte() & 1));
        let handle = self.handles[which];
        if what >= 240 {
            self.call_others(which, input);
            return self.inspect(which);
        }
        // SAFETY: handles, keys and layers are alive; slices are valid for each call; borrowed results are copied at once.
        unsafe {
            match what % 32 {
                0 => {
                    let list = *input.choose(&LISTS);
                    asr_negotiate(handle, lend(list)).text();
                }
                1 => drop(asr_negotiate(handle, Slice::of(without_kerberos(input.optional()))).text()),
                2 => drop(asr_pick(handle, Slice::of(input.optional()))),
                3 => {
                    let list = input.choose(&LISTS);
                    asr_pick(handle, lend(list.split(' ').next().unwrap_or_default()));
                }
                4 => asr_set_abilities(handle, u32::from(input.byte()) | u32::from(input.byte()) << 16),
                5 => {
                    let (name, value) = (*input.choose(&OPTIONS), input.optional());
                    let mut error = NONE;
                    let set = asr_set(handle, lend(name), Slice::of(value), &mut error);
                    assert_eq!(set == -1, error.text().is_some(), "{name}");
                    assert!(set != 1 || asr_knows(lend(name)) == 1);
                    limit_iterations(handle);
                }
                6 => drop(asr_bind(handle, Slice::of(input.optional()), Slice::of(input.optional())).text()),
                7 => drop(asr_bind(handle, lend("tls-exporter"), lend("0123456789abcdef")).text()),
                8 => asr_unbind(handle),
                9 => asr_tls(handle, input.short() as u32, 1),
                10 => {
                    let name = *input.choose(&PROPERTIES);
                    asr_get(handle, lend(name)).text();
                }
                11 => drop(asr_get(handle, Slice::of(input.optional())).text()),
                12 => self.outcome(which, asr_start(handle, Slice::of(input.optional()))),
                13 => {
                    let initial = (input.byte() & 1 == 0).then(|| self.sent[1 - which].clone());
                    self.outcome(which, asr_start(handle, Slice::of(initial.as_deref())));
                }
                14 => self.outcome(which, asr_step(handle, Slice::of(input.optional()))),
                15 | 16 => {
                    let message = self.sent[1 - which].clone();
                    self.outcome(which, asr_step(handle, Slice::of(Some(&message))));
                }
                17 => asr_busy(handle),
                18 => self
                    .outcome(which, asr_abort(handle, i32::from(input.byte() as i8), lend("user"), lend("a string"))),
                19 => asr_sent(handle),
                20 | 21 => self.answer(which),
                22 => self.answer_anything(which, input),
                23 => self.verifier(input),
                24 => self.usable(which),
                25 => asr_use_keys(handle, self.keys),
                26 => {
                    asr_keys_free(self.keys);
                    self.keys = asr_keys_new();
                }
                27 => {
                    asr_free(handle);
                    self.handles[which] = open(which, !0);
                    self.invented[which] = false;
                }
                28 => self.in_place(which, input),
                29 => {
                    let layer = asr_layer_share(handle);
                    assert_eq!(layer.is_null(), asr_layered(handle) == 0);
                    if !layer.is_null() {
                        self.layers.push(layer);
                    }
                }
                30 => {
                    if let Some(layer) = (!self.layers.is_empty()).then(|| self.layers.remove(0)) {
                        asr_layer_free(layer);
                    }
                }
                _ => self.stream(input),
            }
        }
        self.inspect(which);
    }

    /// Calls functions that few programs need.
    fn call_others(&mut self, which: usize, input: &mut Input<'_>) {
        let handle = self.handles[which];
        // SAFETY: as in `call`.
        unsafe {
            match input.byte() % 8 {
                0 => self.outcome(which, asr_abandon(handle)),
                1 => drop(asr_reasons(handle).text().expect("reasons")),
                2 => {
                    let (from, index) = (input.byte() & 1, u32::from(input.byte() % 4));
                    let message = match input.byte() {
                        byte if byte < 128 => self.sent[usize::from(byte & 1)].clone(),
                        _ => input.string().to_vec(),
                    };
                    let outline = asr_outline(handle, from.into(), index, Slice::of(Some(&message))).text();
                    assert!(!outline.expect("a text").contains(char::is_control), "an outline is no line");
                }
                3 => asr_unix_peer(handle, (input.byte() & 1).into()),
                4 => {
                    let (user, password) = (Slice::of(input.optional()), Slice::of(input.optional()));
                    assert_eq!(asr_setpass(handle, user, password, input.byte().into()), -1, "there are no accounts");
                }
                5 => {
                    let (load, options) = (Slice::of(input.optional()), Slice::of(input.optional()));
                    let (mut text, mut owner) = (NONE, ptr::null_mut());
                    let path = lend("/nonexistent");
                    asr_plugins_load(handle, path, load, input.byte().into(), options, &mut text, &mut owner);
                    text.text().expect("a report or a reason");
                    asr_text_free(owner);
                }
                6 => asr_plugins_none(handle),
                _ => functions::call(input),
            }
        }
    }

    /// Checks the outcome of a call, and keeps its message.
    fn outcome(&mut self, which: usize, outcome: i32) {
        assert!((outcome::SEND..=outcome::BUSY).contains(&outcome), "{outcome}");
        let handle = self.handles[which];
        // SAFETY: as in `call`.
        unsafe {
            let (message, status) = (asr_message(handle).copy(), asr_status(handle));
            match outcome {
                outcome::SEND | outcome::FAILED_WITH_MESSAGE => assert!(message.is_some()),
                outcome::ABSENT | outcome::FAILED => assert!(message.is_none()),
                _ => {}
            }
            if matches!(outcome, outcome::FAILED | outcome::FAILED_WITH_MESSAGE) {
                assert!(asr_code(handle) < 0 && asr_error(handle).text().is_some() && status == 0);
            }
            let mut question = NO_QUESTION;
            assert_eq!(asr_question_get(handle, &mut question) == 1, matches!(outcome, outcome::ASK | outcome::BUSY));
            if let (outcome::SEND | outcome::FAILED_WITH_MESSAGE, Some(message)) = (outcome, message) {
                self.sent[which] = message;
            }
        }
    }

    /// What may be read at any time.
    fn inspect(&self, which: usize) {
        let handle = self.handles[which];
        // SAFETY: as in `call`.
        unsafe {
            let (code, error) = (asr_code(handle), asr_error(handle).text());
            assert_eq!(code == 0, error.is_none(), "{code} {error:?}");
            assert!(asr_unavailable(handle) == 0 || code < 0, "unavailable without an error");
            assert_eq!(asr_mechanism(handle).text().is_none(), asr_rank(handle) == -1);
            assert!((0..=3).contains(&asr_status(handle)) && (0..=3).contains(&asr_layered(handle)));
            assert_ne!(asr_status(handle), 3, "a success, but a step is still needed");
            if which == 1 && asr_status(handle) & 2 == 0 && asr_layered(handle) == 0 {
                for name in ["user", "authuser", "authcid", "authzid"] {
                    assert!(asr_get(handle, lend(name)).text().is_none(), "{name} is available before it is proved");
                }
            }
            asr_wants_keys(handle);
            assert!(asr_offered_realm(handle, 1 << 20).ptr.is_null());
        }
    }

    /// Answers the question like an application that knows one user.
    fn answer(&mut self, which: usize) {
        let handle = self.handles[which];
        let mut question = NO_QUESTION;
        // SAFETY: as in `call`; the question is valid for writing.
        let outcome = unsafe {
            if asr_question_get(handle, &mut question) == 0 {
                return;
            }
            let name = question.name.text();
            for slice in [question.authzid, question.realm, question.host, question.port] {
                slice.text();
            }
            let known = name.as_deref().is_none_or(|name| name == "fred");
            match question.kind {
                question_kind::VALUES => {
                    let values =
                        [(Property::Authcid, "fred"), (Property::Password, "pencil"), (Property::Token, "pencil")]
                            .map(|(property, value)| Value { property: property as u32, bytes: lend(value) });
                    asr_answer_values(handle, values.as_ptr(), values.len())
                }
                question_kind::REALM => {
                    let realm = asr_offered_realm(handle, 0).text();
                    assert_eq!(realm.is_some(), question.wanted > 0);
                    asr_answer_text(handle, Slice::of(realm.as_ref().map(|realm| realm.as_bytes())))
                }
                question_kind::CHECK_PASSWORD | question_kind::AUTHORIZE => {
                    let right = question.kind == question_kind::AUTHORIZE
                        || question.secret.copy().as_deref() == Some(b"pencil");
                    asr_answer_verdict(handle, i32::from(known && right))
                }
                question_kind::CREDENTIALS => asr_answer_credential(handle, if known { lend("pencil") } else { NONE }),
                question_kind::TOKEN => {
                    let right = question.secret.copy().as_deref() == Some(b"pencil");
                    asr_answer_token(handle, if right { lend("fred") } else { NONE }, NONE, NONE, NONE)
                }
                question_kind::CANONICALIZE => {
                    asr_answer_text(handle, Slice::of(name.as_ref().map(|name| name.as_bytes())))
                }
                question_kind::SET_VERIFIER => {
                    let verifier = question.secret.text().expect("a verifier");
                    assert!(self.invented[which] || known && verifier == of_pencil(&verifier), "{verifier}");
                    asr_answer_verdict(handle, 1)
                }
                // Nothing is kept.
                question_kind::KEEP_KEYS | question_kind::OTP_REPLACE => asr_answer_verdict(handle, 0),
                // Nobody has a chain.
                question_kind::OTP_STATE => asr_answer_credential(handle, NONE),
                kind => panic!("an unknown question: {kind}"),
            }
        };
        self.outcome(which, outcome);
    }

    /// Answers with any bytes and any kind of answer, whether asked or not.
    fn answer_anything(&mut self, which: usize, input: &mut Input<'_>) {
        let handle = self.handles[which];
        self.invented[which] = true;
        let kind = input.byte();
        let mut question = NO_QUESTION;
        // SAFETY: as in `call`; the question is valid for writing.
        let outcome = unsafe {
            asr_question_get(handle, &mut question);
            match kind % 5 {
                _ if kind >= 248 => asr_answer_no_key(handle),
                // This function answers no other question.
                _ if kind >= 240 && matches!(question.kind, 0 | question_kind::SET_VERIFIER) => {
                    asr_answer_not_stored(handle, Slice::of(input.optional()))
                }
                0 => {
                    let values: Vec<Value> = (0..input.byte() % 10)
                        .map(|_| Value { property: input.byte().into(), bytes: Slice::of(input.optional()) })
                        .collect();
                    asr_answer_values(handle, values.as_ptr(), values.len())
                }
                1 => asr_answer_text(handle, Slice::of(input.optional())),
                2 => asr_answer_verdict(handle, i32::from(input.byte())),
                3 => asr_answer_credential(handle, Slice::of(input.optional())),
                _ => {
                    let parts = [(); 4].map(|()| Slice::of(input.optional()));
                    asr_answer_token(handle, parts[0], parts[1], parts[2], parts[3])
                }
            }
        };
        self.outcome(which, outcome);
    }

    fn verifier(&mut self, input: &mut Input<'_>) {
        let (mut text, mut owner) = (NONE, ptr::null_mut());
        let iterations = *input.choose(&[1, 4, 0, 1 << 31, u32::MAX]);
        let mechanism = input.byte();
        // SAFETY: as in `call`; the text is copied before it is freed.
        unsafe {
            let mechanism = match mechanism & 1 {
                0 => lend("SCRAM-SHA-256"),
                _ => Slice::of(input.optional()),
            };
            let (password, salt) = (Slice::of(input.optional()), Slice::of(input.optional()));
            let spelling = *input.choose(&["rfc5803", "dovecot", "gsasl", ""]);
            let made = asr_make_verifier(mechanism, password, salt, iterations, lend(spelling), &mut text, &mut owner);
            let text = text.text().expect("a text or a reason");
            asr_text_free(owner);
            assert_eq!(made == 1, text.contains("SCRAM-"), "{text}");
        }
    }

    fn usable(&self, which: usize) {
        let mut text = NONE;
        // SAFETY: as in `call`; the text is copied before it is freed.
        unsafe {
            let owner = asr_usable(self.handles[which], &mut text);
            text.text().expect("a list");
            asr_text_free(owner);
        }
    }

    /// `encode` and `decode` with buffers of exactly the required size.
    fn in_place(&mut self, which: usize, input: &mut Input<'_>) {
        let handle = self.handles[which];
        let (length, spare) = (input.short() % 5000, input.byte());
        // SAFETY: as in `call`; the buffers have the given lengths.
        unsafe {
            let layered = asr_layered(handle);
            let room = asr_room(handle, length);
            assert!(room >= length && (layered != 0 || room == length));
            let capacity = room + usize::from(spare % 16);
            let mut buffer = vec![b'p'; capacity];
            let frame = asr_encode(handle, buffer.as_mut_ptr(), capacity, length);
            assert!(frame <= capacity as isize);
            if let Ok(frame) = usize::try_from(frame) {
                self.frames[which] = buffer[..frame].to_vec();
            }
            let mut frame = std::mem::take(&mut self.frames[1 - which]);
            if spare & 1 == 1 {
                frame = input.string().to_vec();
            }
            let plain = asr_decode(handle, frame.as_mut_ptr(), frame.len());
            assert!(plain <= frame.len() as isize);
        }
    }

    /// One call on a shared layer, whether its handle still exists or not.
    fn stream(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        let Some(&layer) = self.layers.get(usize::from(what >> 4) % self.layers.len().max(1)) else { return };
        // SAFETY: as in `call`; the buffer has the given length.
        unsafe {
            match what % 7 {
                0 => {
                    let mut frames = NONE;
                    let plaintext = vec![b'q'; input.short() % 5000];
                    let owner = asr_layer_frame(layer, Slice::of(Some(&plaintext)), &mut frames);
                    if !owner.is_null() {
                        self.frames[0] = frames.copy().expect("frames");
                        asr_bytes_free(owner);
                    }
                }
                1 => drop(asr_layer_feed(layer, Slice::of(input.optional()))),
                2 => {
                    let frames = std::mem::take(&mut self.frames[0]);
                    asr_layer_feed(layer, Slice::of(Some(&frames)));
                }
                3 => {
                    let mut out = vec![0; input.short() % 5000];
                    let ready = asr_layer_ready(layer);
                    let read = asr_layer_read(layer, out.as_mut_ptr(), out.len());
                    assert_eq!(read, ready.min(out.len()));
                }
                4 => assert!(asr_layer_find(layer, Slice::of(input.optional())) <= asr_layer_ready(layer)),
                5 => asr_layer_cut(layer),
                _ => {
                    let mut text = NONE;
                    let owner = asr_layer_error(layer, &mut text);
                    if !owner.is_null() {
                        text.text().expect("a reason");
                        asr_text_free(owner);
                    }
                    asr_layer_wanted(layer);
                }
            }
        }
    }

    fn close(self) {
        // SAFETY: each is freed once; layers may outlive their handles.
        unsafe {
            self.handles.into_iter().for_each(|handle| asr_free(handle));
            self.layers.into_iter().for_each(|layer| asr_layer_free(layer));
            asr_keys_free(self.keys);
        }
    }
}

/// The verifier of the honest password with the parameters of this one.
fn of_pencil(verifier: &str) -> String {
    let mut parts = verifier.split('$');
    let (mechanism, (iterations, salt)) =
        (parts.next().expect("a mechanism"), parts.next().and_then(|part| part.split_once(':')).expect("parameters"));
    let (iterations, salt) = (iterations.parse().expect("a count"), base64(salt).expect("a salt"));
    let (mut text, mut owner) = (NONE, ptr::null_mut());
    // SAFETY: as in `Program::call`; the text is copied before it is freed.
    unsafe {
        let (salt, spelling) = (Slice::of(Some(&salt)), lend("rfc5803"));
        asr_make_verifier(lend(mechanism), lend("pencil"), salt, iterations, spelling, &mut text, &mut owner);
        let made = text.text().expect("a verifier");
        asr_text_free(owner);
        made
    }
}

/// Leaves out Kerberos, which is slow on a machine without it, and not part of this surface.
fn without_kerberos(list: Option<&[u8]>) -> Option<&[u8]> {
    list.filter(|list| !list.to_ascii_uppercase().windows(2).any(|pair| pair == b"GS"))
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let list = *input.choose(&LISTS);
    let abilities = !u32::from(input.byte());
    // SAFETY: there are no arguments.
    let keys = unsafe { asr_keys_new() };
    let handles = [open(0, abilities), open(1, abilities)];
    let mut program = Program {
        handles,
        keys,
        layers: Vec::new(),
        sent: Default::default(),
        frames: Default::default(),
        invented: [false; 2],
    };
    for handle in handles {
        // SAFETY: the handles are alive, and borrowed results are copied at once.
        unsafe { asr_negotiate(handle, lend(list)).text() };
    }
    for _ in 0..CALLS {
        if input.is_empty() {
            break;
        }
        program.call(&mut input);
    }
    program.close();
});
