//! A SCRAM peer that knows the secret and lies all the same: it proves or signs whatever it says
//! (CVE-2024-56128). What it forges is refused by the rules of the messages alone.

use authen_sasl_rust::crypto::scram::{parse_mechanism_name, Keys};
use authen_sasl_rust::wire::gs2::Header;
use authen_sasl_rust::wire::scram::{print_base64, ServerFirst};

use crate::facts::Facts;
use crate::party::Run;

/// More iterations would only cost time.
const MOST_ITERATIONS: u32 = 8;

/// `client-final-message` with the proof that the server must find right, over the message as it is now
/// and what the server has heard and said.
pub fn client_final(facts: &Facts, server: &Run, message: &[u8]) -> Option<Vec<u8>> {
    let proof = message.windows(3).rposition(|window| window == b",p=")?;
    let without_proof = &message[..proof];
    let (first, server_first) = (server.fed.first()?, server.said.last()?);
    let auth_message: &[&[u8]] = &[bare(first)?, b",", server_first, b",", without_proof];
    let (hash, _) = parse_mechanism_name(facts.mechanism)?;
    let keys = keys(facts, &facts.client_secret(), server_first)?;
    let proof = keys.client.clone().xor(&hash.hmac(&keys.stored, auth_message));
    let mut out = [without_proof, b",p="].concat();
    print_base64(&proof, &mut out);
    Some(out)
}

/// `server-final-message` with the signature that the client must find right, over what the client has
/// heard and said.
pub fn server_final(facts: &Facts, client: &Run) -> Option<Vec<u8>> {
    let [first, .., last] = &client.said[..] else { return None };
    let without_proof = &last[..last.windows(3).rposition(|window| window == b",p=")?];
    let server_first = client.fed.last()?;
    let auth_message: &[&[u8]] = &[bare(first)?, b",", server_first, b",", without_proof];
    let (hash, _) = parse_mechanism_name(facts.mechanism)?;
    let keys = keys(facts, &facts.secret(), server_first)?;
    let mut out = b"v=".to_vec();
    print_base64(&hash.hmac(&keys.server, auth_message), &mut out);
    Some(out)
}

fn keys(facts: &Facts, secret: &str, server_first: &[u8]) -> Option<Keys> {
    let (hash, _) = parse_mechanism_name(facts.mechanism)?;
    let first = ServerFirst::parse(server_first).ok().filter(|first| first.iterations <= MOST_ITERATIONS)?;
    Some(Keys::derive(hash, secret.as_bytes(), &first.salt, first.iterations))
}

/// `client-first-message-bare`.
fn bare(first: &[u8]) -> Option<&[u8]> {
    let (_, bare) = Header::parse(std::str::from_utf8(first).ok()?).ok()?;
    Some(bare.as_bytes())
}
