use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{EcdsaKeyPair, KeyPair, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING};
use serde_json::json;

use super::*;

/// RFC 7515 appendix A.2 and A.3.
const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const RSA: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const EC: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

fn rsa() -> Value {
    json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" })
}

fn ec() -> Value {
    json!({ "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" })
}

fn with(mut key: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        key[name] = value.clone();
    }
    key
}

fn encoded(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn verdict_of_type(token: &str, keys: &[Value], allowed: &[&str], kind: Option<&str>) -> Result<(), String> {
    let keys = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    let allowed: Vec<String> = allowed.iter().map(|name| name.to_string()).collect();
    let verified = Unverified::parse(token.as_bytes(), &allowed, kind).and_then(|token| token.verify(&keys));
    verified.map(drop).map_err(|refusal| refusal.reason)
}

fn verdict(token: &str, keys: &[Value], allowed: &[&str]) -> Result<(), String> {
    verdict_of_type(token, keys, allowed, None)
}

fn assert_refused(token: &str, keys: &[Value], allowed: &[&str], reason: &str) {
    let error = verdict(token, keys, allowed).expect_err(token);
    assert!(error.contains(reason), "{token}: {error}");
}

/// Keys that sign for a test, on P-256 and on P-384.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new(method: &'static ring::signature::EcdsaSigningAlgorithm) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(method, &random).unwrap();
        Signer(EcdsaKeyPair::from_pkcs8(method, pkcs8.as_ref(), &random).unwrap())
    }

    fn jwk(&self, curve: &str) -> Value {
        let point = &self.0.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        json!({ "kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y) })
    }

    fn sign(&self, head: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(head), encoded(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encoded(signature))
    }
}

#[test]
fn the_tokens_of_the_standards_are_right() {
    for (token, key, name) in [
        (format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}.{RSA}"), rsa(), "RS256"),
        (format!("eyJhbGciOiJFUzI1NiJ9.{CLAIMS}.{EC}"), ec(), "ES256"),
    ] {
        let all = ["RS256", "ES256", "PS256", "EdDSA"];
        assert_eq!(verdict(&token, std::slice::from_ref(&key), &all), Ok(()), "{name}");
        // Two keys without a name, or of one name: one of them is enough.
        assert_eq!(
            verdict(&token, &[rsa(), ec(), with(key.clone(), json!({ "use": "sig", "alg": name }))], &all),
            Ok(())
        );
        let (rest, signature) = token.rsplit_once('.').unwrap();
        for signature in ["", "AAAA", &encoded([0; 64]), &encoded([0; 256]), &encoded(signature)] {
            assert_refused(&format!("{rest}.{signature}"), std::slice::from_ref(&key), &all, "its signature is wrong");
        }
        assert_refused(
            &token.replace(".eyJ", ".eyL"),
            std::slice::from_ref(&key),
            &all,
            "claims set is not a JSON object",
        );
        assert_refused(&token, std::slice::from_ref(&key), &["PS256", "EdDSA"], "its algorithm is not allowed");
        for changes in [
            json!({ "use": "enc" }),
            json!({ "key_ops": ["sign"] }),
            json!({ "key_ops": 5 }),
            json!({ "alg": "RS512" }),
            json!({ "alg": 5 }),
            json!({ "kty": "oct", "k": "AAAA" }),
            json!({ "n": encoded([255; 128]), "crv": "P-384" }),
            json!({ "n": 5, "x": 5 }),
        ] {
            let key = with(key.clone(), changes.clone());
            assert_refused(&token, &[key, json!(5)], &all, "no key of the issuer fits its kid and algorithm");
        }
    }
}

/// RFC 8037 appendix A.4. Its payload is no JSON object, so only the key is tested.
#[test]
fn ed25519_of_the_standard_is_right() {
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let keys = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
    let algorithm = ALGORITHMS.iter().find(|known| known.name == "EdDSA").unwrap();
    let signature =
        base64url("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg").unwrap();
    let key = keys.candidates(None).next().unwrap();
    assert!(key.fits(algorithm));
    assert!(key.verifies(algorithm, b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", &signature));
    assert!(!key.verifies(algorithm, b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmd", &signature));
}

#[test]
fn a_forged_algorithm_is_not_allowed() {
    let claims = r#"{"sub":"root"}"#;
    for head in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"nOnE","typ":"JWT"}"#,
        r#"{"alg":""}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["ES256"]}"#,
        r#"{"alg":"es256"}"#,
        "{}",
    ] {
        for signature in ["", "AAAA"] {
            let token = format!("{}.{}.{signature}", encoded(head), encoded(claims));
            assert_refused(&token, &[ec()], &["RS256", "ES256"], "its algorithm is not allowed");
        }
    }
    // Even if a setting could name them.
    for name in ["none", "HS256"] {
        let token = format!("{}.{}.", encoded(format!(r#"{{"alg":"{name}"}}"#)), encoded(claims));
        assert_refused(&token, &[ec()], &[name], "its algorithm is not allowed");
    }
    // An HMAC, with what is public of the key as its secret.
    for secret in [rsa().to_string(), RSA_N.into(), String::new()] {
        let signed = format!("{}.{}", encoded(r#"{"alg":"HS256"}"#), encoded(claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
        assert_refused(&format!("{signed}.{}", encoded(tag)), &[rsa()], &["RS256"], "its algorithm is not allowed");
    }
}

#[test]
fn the_key_is_one_of_the_issuer_with_that_name() {
    let (signer, other) =
        (Signer::new(&ECDSA_P256_SHA256_FIXED_SIGNING), Signer::new(&ECDSA_P256_SHA256_FIXED_SIGNING));
    let wide = Signer::new(&ECDSA_P384_SHA384_FIXED_SIGNING);
    let named = |signer: &Signer, kid: &str| with(signer.jwk("P-256"), json!({ "kid": kid }));
    let keys = [named(&other, "a"), named(&signer, "b"), named(&other, "c"), named(&signer, "c"), rsa()];
    for head in [
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"b"}"#,
        // Two keys of one name.
        r#"{"alg":"ES256","kid":"c"}"#,
        // It means nothing unless it is critical.
        r#"{"alg":"ES256","kid":"b","b64":false}"#,
        r#"{"alg":"ES256","kid":"b","typ":"application/AT+JWT"}"#,
    ] {
        assert_eq!(verdict(&signer.sign(head, "{}"), &keys, &["ES256"]), Ok(()), "{head}");
    }
    for (head, reason) in [
        (r#"{"alg":"ES256","kid":"a"}"#, "its signature is wrong"),
        (r#"{"alg":"ES256","kid":"d"}"#, "no key of the issuer fits"),
        (r#"{"alg":"ES256","kid":""}"#, "no key of the issuer fits"),
        (r#"{"alg":"ES256","kid":["b"]}"#, "its kid is not a string"),
        (r#"{"alg":"ES256","kid":null}"#, "its kid is not a string"),
        (r#"{"alg":"ES256","kid":"b","crit":["exp"]}"#, "critical extensions"),
        (r#"{"alg":"ES256","kid":"b","crit":[]}"#, "critical extensions"),
        (r#"{"alg":"ES256","kid":"b","b64":false,"crit":["b64"]}"#, "critical extensions"),
        (r#"{"alg":"ES256","kid":"b","typ":"dpop+jwt"}"#, "its type (typ)"),
        (r#"{"alg":"ES256","kid":"b","typ":5}"#, "its type (typ)"),
        (r#"{"alg":"ES256","kid":"b","alg":"ES256"}"#, "header is not a JSON object with distinct members"),
        (r#"["ES256"]"#, "header is not a JSON object"),
    ] {
        assert_refused(&signer.sign(head, "{}"), &keys, &["ES256"], reason);
    }
    for claims in ["[]", "5", "{", r#"{"sub":"fred","sub":"root"}"#, r#"{"sub":"fred","s\u0075b":"root"}"#] {
        assert_refused(
            &signer.sign(r#"{"alg":"ES256"}"#, claims),
            &keys,
            &["ES256"],
            "claims set is not a JSON object",
        );
    }
    // A key that the token brings along, or where to find one.
    for brought in [
        format!(r#"{{"alg":"ES256","jwk":{}}}"#, other.jwk("P-256")),
        r#"{"alg":"ES256","jku":"http://127.0.0.1:1/keys"}"#.into(),
        r#"{"alg":"ES256","x5u":"http://127.0.0.1:1/chain"}"#.into(),
        r#"{"alg":"ES256","x5c":["MIIB"]}"#.into(),
    ] {
        assert_refused(&other.sign(&brought, "{}"), &[signer.jwk("P-256")], &["ES256"], "its signature is wrong");
        assert_eq!(verdict(&signer.sign(&brought, "{}"), &[signer.jwk("P-256")], &["ES256"]), Ok(()), "it is ignored");
    }
    // A key on another curve.
    let token = wide.sign(r#"{"alg":"ES256"}"#, "{}");
    assert_refused(&token, &[wide.jwk("P-384")], &["ES256", "ES384"], "no key of the issuer fits");
    assert_refused(&token, &[wide.jwk("P-256")], &["ES256", "ES384"], "its signature is wrong");
    assert_eq!(verdict(&wide.sign(r#"{"alg":"ES384"}"#, "{}"), &[wide.jwk("P-384")], &["ES384"]), Ok(()));
}

#[test]
fn a_token_that_is_none_is_refused() {
    let good = format!("eyJhbGciOiJFUzI1NiJ9.{CLAIMS}.{EC}");
    let (head, rest) = good.split_once('.').unwrap();
    for (token, reason) in [
        (String::new(), "three parts"),
        ("abc".into(), "three parts"),
        ("a.b".into(), "three parts"),
        (format!("{good}.x"), "three parts"),
        ("\u{e9}.b.c".into(), "not base64url"),
        (format!("{head}=.{rest}"), "not base64url"),
        (format!("{head}\n.{rest}"), "not base64url"),
        (format!("{head}A.{rest}"), "not base64url"),
        (format!("{}.{rest}", head.replace('N', "+")), "not base64url"),
        ("..".into(), "header is not a JSON object"),
        ("x".repeat(16_385), "longer than 16384 bytes"),
        (format!("{head}.{}.AAAA", encoded(format!("{}{}", "[".repeat(5000), "]".repeat(5000)))), "claims set is not"),
    ] {
        assert_refused(&token, &[ec()], &["ES256"], reason);
    }
    assert!(is_signed(good.as_bytes()) && !is_signed(b"a.b") && !is_signed(b"a.b.c.d"));
}

#[test]
fn a_type_can_be_demanded() {
    let signer = Signer::new(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let check =
        |head: &str| verdict_of_type(&signer.sign(head, "{}"), &[signer.jwk("P-256")], &["ES256"], Some("at+JWT"));
    assert_eq!(check(r#"{"alg":"ES256","typ":"application/at+jwt"}"#), Ok(()));
    for head in [r#"{"alg":"ES256","typ":"JWT"}"#, r#"{"alg":"ES256"}"#] {
        assert!(check(head).unwrap_err().contains("typ"), "{head}");
    }
}

/// Authlib 1.2 leaves out zeros at the beginning of a coordinate; RFC 7518 section 6.2.1.2 does not allow it.
#[test]
fn short_coordinates_are_filled_up() {
    let signer = loop {
        let signer = Signer::new(&ECDSA_P256_SHA256_FIXED_SIGNING);
        if signer.0.public_key().as_ref()[1] == 0 {
            break signer;
        }
    };
    let x = encoded(&signer.0.public_key().as_ref()[2..33]);
    let key = with(signer.jwk("P-256"), json!({ "x": x }));
    assert_eq!(verdict(&signer.sign(r#"{"alg":"ES256"}"#, "{}"), std::slice::from_ref(&key), &["ES256"]), Ok(()));
    let long = with(key, json!({ "x": encoded([0; 33]) }));
    assert_refused(&signer.sign(r#"{"alg":"ES256"}"#, "{}"), &[long], &["ES256"], "its signature is wrong");
}

#[test]
fn what_is_no_key_set_is_refused() {
    for (text, reason) in [
        (String::new(), "not a JSON object"),
        ("[]".into(), "not a JSON object"),
        (r#"{"keys":[],"keys":[]}"#.into(), "occurs twice"),
        ("{}".into(), "not a JSON Web Key Set"),
        (r#"{"keys":{}}"#.into(), "not a JSON Web Key Set"),
        (json!({ "keys": vec![rsa(); 101] }).to_string(), "more than 100 keys"),
    ] {
        let error = KeySet::parse(text.as_bytes()).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
    let mixed =
        json!({ "keys": [rsa(), 5, { "kty": "oct", "k": "AAAA" }, { "kty": "RSA", "n": "AAAA", "e": "AQAB" }] });
    assert_eq!(KeySet::parse(mixed.to_string().as_bytes()).unwrap().len(), 1);
}
