//! Only for the fuzz targets: messages of mechanisms that are private to this crate. Each function parses, prints the
//! result and parses that; it panics if the two results differ.

use super::digest_md5::messages::{
    parse_response_auth, print_response_auth, Challenge, Response, CHALLENGE_LIMIT, RESPONSE_LIMIT,
};

/// `digest-challenge` (RFC 2831 §2.1.1).
pub fn challenge(bytes: &[u8]) {
    let Ok(challenge) = Challenge::parse(bytes) else { return };
    let printed = challenge.print();
    // Printing adds optional quotes and names, so a long message can become too long.
    if printed.len() < CHALLENGE_LIMIT {
        let again = Challenge::parse(&printed).expect("what was printed");
        assert_eq!((&again.realms, &again.nonce, again.utf8), (&challenge.realms, &challenge.nonce, challenge.utf8));
        // Values without meaning if there is no layer are not printed, so the offers may differ.
        assert_eq!(again.print(), printed);
    }
}

/// `digest-response` (RFC 2831 §2.1.2).
pub fn response(bytes: &[u8]) {
    let Ok(response) = Response::parse(bytes) else { return };
    let printed = response.print();
    if printed.len() < RESPONSE_LIMIT {
        let mut again = Response::parse(&printed).expect("what was printed");
        assert_eq!(again.print(), printed);
        again.protection = response.protection;
        assert_eq!(again, response);
    }
}

/// `response-auth` (RFC 2831 §2.1.3).
pub fn response_auth(bytes: &[u8]) {
    let Ok(Some(proof)) = parse_response_auth(bytes) else { return };
    assert_eq!(parse_response_auth(&print_response_auth(&proof)), Ok(Some(proof)));
}
