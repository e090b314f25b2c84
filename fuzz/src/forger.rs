//! A SCRAM peer that knows the secret and lies: it makes a valid proof or signature for whatever it sends (CVE-2024-56128).
//! Only the rules about message contents can reject it.

use authen_sasl_rust::crypto::scram::{parse_mechanism_name, Keys};
use authen_sasl_rust::wire::gs2::Header;
use authen_sasl_rust::wire::scram::{print_base64, ServerFirst};

use crate::facts::ExchangeFacts;
use crate::party::Run;

/// More iterations would only take time.
const MAX_ITERATIONS: u32 = 8;

/// The `client-final-message` with a proof that the server must find valid, over the message as it is now and the messages that the
/// server has received and sent.
pub fn client_final(facts: &ExchangeFacts, server: &Run, message: &[u8]) -> Option<Vec<u8>> {
    let proof = message.windows(3).rposition(|window| window == b",p=")?;
    let without_proof = &message[..proof];
    let (first, server_first) = (server.received.first()?, server.sent.last()?);
    let auth_message: &[&[u8]] = &[bare(first)?, b",", server_first, b",", without_proof];
    let (hash, _) = parse_mechanism_name(facts.mechanism)?;
    let keys = keys(facts, &facts.client_secret(), server_first)?;
    let proof = keys.client.clone().xor(&hash.hmac(&keys.stored, auth_message));
    let mut out = [without_proof, b",p="].concat();
    print_base64(&proof, &mut out);
    Some(out)
}

/// The `server-final-message` with a signature that the client must find valid, over the messages that the client has received and
/// sent.
pub fn server_final(facts: &ExchangeFacts, client: &Run) -> Option<Vec<u8>> {
    let [first, .., last] = &client.sent[..] else { return None };
    let without_proof = &last[..last.windows(3).rposition(|window| window == b",p=")?];
    let server_first = client.received.last()?;
    let auth_message: &[&[u8]] = &[bare(first)?, b",", server_first, b",", without_proof];
    let (hash, _) = parse_mechanism_name(facts.mechanism)?;
    let keys = keys(facts, &facts.secret(), server_first)?;
    let mut out = b"v=".to_vec();
    print_base64(&hash.hmac(&keys.server, auth_message), &mut out);
    Some(out)
}

fn keys(facts: &ExchangeFacts, secret: &str, server_first: &[u8]) -> Option<Keys> {
    let (hash, _) = parse_mechanism_name(facts.mechanism)?;
    let first = ServerFirst::parse(server_first).ok().filter(|first| first.iterations <= MAX_ITERATIONS)?;
    Some(Keys::derive(hash, secret.as_bytes(), &first.salt, first.iterations))
}

/// `client-first-message-bare`.
fn bare(first: &[u8]) -> Option<&[u8]> {
    let (_, bare) = Header::parse(std::str::from_utf8(first).ok()?).ok()?;
    Some(bare.as_bytes())
}
