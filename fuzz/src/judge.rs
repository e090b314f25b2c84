//! What must hold whenever a side has succeeded, whatever was done to the messages.

use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::error::Rejection;
use authen_sasl_rust::layer::lock;
use authen_sasl_rust::mechanism;
use authen_sasl_rust::wire::scram::base64;

use crate::evidence::Evidence;
use crate::facts::{ExchangeFacts, OTP_SEQUENCE};
use crate::party::{Party, Run};

/// Checks both sides after a call.
pub fn check(evidence: &Evidence) {
    let facts = &evidence.client.facts;
    if evidence.server.session.is_success() {
        server(evidence, facts);
    }
    if evidence.client.session.is_success() && facts.mechanism.starts_with("HT") && !evidence.client.dishonest {
        ht(evidence, facts, &evidence.client.run.received[0], b"Responder");
    }
    if evidence.client.session.is_success() && is_mutual(facts) {
        client(evidence, facts);
        if evidence.server.session.is_success() {
            agreement(evidence);
        }
    }
}

/// The server offers a mechanism, with or without -PLUS, only if its account store lists it.
pub fn offer(evidence: &Evidence) {
    let facts = &evidence.server.facts;
    let mechanism = mechanism::find(facts.mechanism).expect("a mechanism of the registry");
    let negotiation = evidence.server.session.negotiation();
    let refusal = negotiation.rejection_reason(mechanism);
    let offered = negotiation.usable(facts.mechanism).len();
    assert_eq!(offered, usize::from(refusal.is_none()));
    let excluded = matches!(&refusal, Some(Rejection::Other(reason)) if reason.contains("mech_list"));
    match facts.lists(facts.mechanism) {
        true => assert!(!excluded, "{} is in the mech_list, but is not offered", facts.mechanism),
        false => assert!(offered == 0, "{} is offered, but is not in the mech_list", facts.mechanism),
    }
}

/// No message is on its way any more: every message of the client was received and answered.
pub fn end(evidence: &Evidence) {
    let (server, client) = (&evidence.server, &evidence.client);
    let disturbed = evidence.tampered || evidence.forged || evidence.lost || server.dishonest || client.dishonest;
    if disturbed || server.earlier_runs.is_empty() {
        return;
    }
    if server.session.need_step() {
        assert!(
            client.run.failed && !client.run.failed_with_message,
            "the server still waits, but the client has nothing more to send"
        );
    }
    if server.session.is_success() {
        assert!(!client.session.need_step(), "the client still waits, but the server has succeeded");
    }
    // The name in a log of failed logins.
    if server.run.failed && server.run.asked_about_user {
        let tried = server.session.claimed_user();
        let named = [Some(evidence.client.facts.name), evidence.client.facts.acts_as()];
        assert!(named.contains(&tried), "{tried:?} is logged as failed, but it was {named:?}");
    }
}

/// Whether both sides prove that they know the secret.
fn is_mutual(facts: &ExchangeFacts) -> bool {
    facts.mechanism.starts_with("SCRAM-") || facts.mechanism == "DIGEST-MD5"
}

fn server(evidence: &Evidence, facts: &ExchangeFacts) {
    let (server, client) = (&evidence.server, &evidence.client);
    let identity = server.session.identity();
    if !["ANONYMOUS", "EXTERNAL"].contains(&facts.mechanism) {
        assert!(facts.client_knows && facts.user_known, "a success without the secret");
    }
    // A faulty application may have given another name.
    if !server.dishonest {
        assert_eq!(identity.authcid.as_deref(), Some(&*facts.expected_authcid()));
    }
    if let Some(authzid) = identity.authzid.as_deref() {
        let authcid = identity.authcid.as_deref().unwrap_or_default();
        let in_domain = |domain: &str| !domain.is_empty() && authzid == format!("{authcid}@{domain}");
        let allowed = authzid == authcid
            || server.authorized.iter().any(|(who, as_whom)| who == authcid && as_whom == authzid)
            || (in_domain("mail.example.com") || identity.realm.as_deref().is_some_and(in_domain))
            || in_domain(facts.realm);
        assert!(allowed, "{authcid} acts as {authzid}");
        if is_mutual(facts) && !evidence.forged && !client.dishonest {
            assert_eq!(facts.authzid.as_deref(), Some(authzid), "an authzid that the client has not asked for");
        }
    }
    if !evidence.tampered
        && !evidence.forged
        && !server.dishonest
        && !client.dishonest
        && facts.mechanism != "ANONYMOUS"
    {
        let seen = identity.authzid.as_deref().filter(|authzid| *authzid != facts.name);
        assert_eq!(seen, facts.acts_as(), "the authzid differs from the requested one");
    }
    if (is_mutual(facts) || facts.mechanism == "CRAM-MD5") && !evidence.forged {
        let nonce = server.run.nonces.last().expect("a server's nonce");
        let was_received = client.earlier_runs.iter().chain([&client.run]).any(|run| has_received(run, nonce));
        assert!(was_received, "no client has received this server's nonce: a replayed answer was accepted");
    }
    if facts.mechanism.starts_with("SCRAM-") {
        scram_server(evidence, facts);
    }
    if facts.mechanism == "OTP" {
        otp(server, facts);
    }
    if facts.mechanism.starts_with("HT") {
        ht(evidence, facts, &server.run.received[0], b"Initiator");
        assert!(server.session.token_index() == Some(if facts.has_verifier { 2 } else { 0 }), "another token's place");
    }
}

/// OTP: the store has the password of this login, or the chain that the client began. Nothing is locked, and nothing repeats.
fn otp(server: &Party, facts: &ExchangeFacts) {
    let state = server.facts.otp.borrow();
    assert_eq!(state.locked_until, 0, "a success that leaves the user locked");
    let expected = state.hash.compute(facts.secret().as_bytes(), &state.seed, state.sequence);
    // A forged or damaged response may begin any chain, but only with the password of the current one.
    let renews = server.run.received[1].to_ascii_lowercase().starts_with(b"init-") || state.seed != "fu0001".into();
    assert!(renews || state.otp == expected, "a success that stores another password than the client's");
    assert!(renews || state.sequence < OTP_SEQUENCE, "a success that used up nothing");
    let replayed =
        server.earlier_runs.iter().filter(|run| run.succeeded && run.received.get(1) == server.run.received.get(1));
    assert_eq!(replayed.count(), 0, "a one-time password was accepted twice");
}

/// HT: an accepted message ends with the proof of the secret over this channel.
fn ht(evidence: &Evidence, facts: &ExchangeFacts, message: &[u8], role: &[u8]) {
    let mechanism = mechanism::find(facts.mechanism).expect("a mechanism of the registry");
    let hash = mechanism.require_hash().expect("a hash");
    let side = if role == b"Initiator" { &evidence.server } else { &evidence.client };
    let data: &[u8] = match mechanism.binding_type {
        Some(kind) => side.session.config.binding(kind).expect("a success without channel binding"),
        None => b"",
    };
    let (said, proof) = message.split_at(message.len() - hash.size());
    let extra = match facts.mechanism.starts_with("HT2") {
        true => said.split(|&byte| byte == 0).nth(1).expect("extra values"),
        false => b"",
    };
    let expected = hash.hmac(facts.secret().as_bytes(), &[role, data, extra]);
    assert_eq!(proof, &*expected, "a success without the proof");
    let is_bound = mechanism.binding_type.is_some();
    assert!(!is_bound || facts.bindings[0] == facts.bindings[1], "a success on two channels");
}

/// RFC 5802 §5.1, §6: the client sends back the whole nonce and the whole channel binding, as this server knows them.
fn scram_server(evidence: &Evidence, facts: &ExchangeFacts) {
    let server = &evidence.server;
    // An empty message may follow, if the protocol cannot send data with its success.
    let [first, last, ..] = &server.run.received[..] else { panic!("a success after one message") };
    let (first, last) = (String::from_utf8_lossy(first), String::from_utf8_lossy(last));
    let header = first.match_indices(',').nth(1).map(|(at, _)| &first[..=at]).expect("a GS2 header");
    let ours = attribute(&first[header.len()..], 'r').expect("the client's nonce").to_owned()
        + server.run.nonces.last().expect("a server's nonce");
    assert_eq!(attribute(&last, 'r'), Some(&*ours), "a success with another nonce");
    let mut binding = header.as_bytes().to_vec();
    if facts.mechanism.ends_with("-PLUS") {
        assert!(header.starts_with("p=tls-exporter,"), "a success without channel binding: {header}");
        let data = server.session.config.binding_data().first().map(|ChannelBinding { data, .. }| data);
        binding.extend_from_slice(data.expect("the server's data"));
        if !evidence.forged {
            assert_eq!(facts.bindings[0], facts.bindings[1], "a success on two channels");
        }
    }
    assert_eq!(attribute(&last, 'c').and_then(base64), Some(binding), "a success with another channel binding");
    let required = facts.options[1].iter().any(|(name, _)| *name == "channel_binding_policy");
    assert!(!required || facts.mechanism.ends_with("-PLUS"), "a success without the required channel binding");
}

fn client(evidence: &Evidence, facts: &ExchangeFacts) {
    let (server, client) = (&evidence.server, &evidence.client);
    assert!(facts.client_knows || client.dishonest, "the client trusts a server that knows another secret");
    let nonce = client.run.nonces.last().expect("a client's nonce");
    if !evidence.forged {
        let proved =
            server.earlier_runs.iter().chain([&server.run]).any(|run| run.succeeded && has_received(run, nonce));
        assert!(proved, "the client trusts a server that has not proved its identity");
    }
    if facts.mechanism.starts_with("SCRAM-") {
        let [first, _] = &client.run.received[..] else {
            panic!("a success that took more or fewer than two messages")
        };
        let first = String::from_utf8_lossy(first);
        let theirs = attribute(&first, 'r').expect("a nonce");
        assert!(theirs.len() > nonce.len() && theirs.starts_with(nonce.as_str()), "a success with the nonce {theirs}");
        let iterations: u32 = attribute(&first, 'i').and_then(|text| text.parse().ok()).expect("a count");
        let config = &client.session.config;
        assert!((config.min_iterations..=config.max_iterations).contains(&iterations), "{iterations} iterations");
    }
}

/// Both sides must agree on the authcid, the authzid and the layer.
fn agreement(evidence: &Evidence) {
    let (server, client) = (&evidence.server, &evidence.client);
    let linked = client.run.nonces.last().is_some_and(|nonce| has_received(&server.run, nonce))
        && server.run.nonces.last().is_some_and(|nonce| has_received(&client.run, nonce));
    if !linked || evidence.forged || server.dishonest || client.dishonest {
        return;
    }
    let (ours, theirs) = (client.session.identity(), server.session.identity());
    assert_eq!((&ours.authcid, &ours.authzid), (&theirs.authcid, &theirs.authzid));
    let (Some(ours), Some(theirs)) = (client.session.layer(), server.session.layer()) else {
        assert!(client.session.layer().is_none() && server.session.layer().is_none(), "a layer on one side only");
        return;
    };
    // DIGEST-MD5 does not authenticate the cipher and maxbuf (RFC 6331 §2, item 4), only whether there is confidentiality.
    assert_eq!(lock(ours).limits().ssf > 1, lock(theirs).limits().ssf > 1);
    if evidence.tampered {
        return;
    }
    for (from, to) in [(ours, theirs), (theirs, ours)] {
        let (mut from, mut to) = (lock(from), lock(to));
        assert_eq!(from.limits().ssf, to.limits().ssf);
        assert!(from.room(0) <= to.limits().max_received && from.limits().max_plaintext > 0);
        let plaintext = vec![b'.'; from.limits().max_plaintext.min(200)];
        let mut frames = Vec::new();
        from.frame(&plaintext, &mut frames).expect("a first frame");
        to.feed(&frames).expect("the peer's first frame");
        assert_eq!(to.plaintext(), plaintext);
        to.consume(plaintext.len());
    }
}

fn has_received(run: &Run, nonce: &str) -> bool {
    run.received.iter().any(|message| message.windows(nonce.len()).any(|window| window == nonce.as_bytes()))
}

/// The value of the first attribute with that name.
fn attribute(message: &str, name: char) -> Option<&str> {
    message.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}
