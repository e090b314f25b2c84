//! JSON and base64url of other people's messages, strictly.

use std::fmt;

use base64::engine::general_purpose::{GeneralPurpose, URL_SAFE_NO_PAD};
use base64::Engine;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

const BASE64URL: GeneralPurpose = URL_SAFE_NO_PAD;

/// RFC 7515 section 2: base64url without padding, and nothing that a lenient decoder would skip.
pub fn base64url(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}

/// An object whose members, and those of the objects in it, have different names. Of two members of one name, this program might
/// read one and another program the other (RFC 7519 section 4, RFC 8725 section 2.4).
pub fn object(text: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(text).ok()? {
        Strict(Value::Object(object)) => Some(object),
        Strict(_) => None,
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(value)) = sequence.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_occurs_once() {
        let value = object(br#"{"a":[1,-2,0.5,true,null,{"b":"c"}],"d":{"b":"c"}}"#).unwrap();
        let again: Value = serde_json::from_str(r#"{"a":[1,-2,0.5,true,null,{"b":"c"}],"d":{"b":"c"}}"#).unwrap();
        assert_eq!(Value::Object(value), again);
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"b":{"a":1,"a":1}}"#,
            r#"{"b":[{"a":1,"a":1}]}"#,
            r#"{"a":1} x"#,
            "[]",
            "1",
            "",
            "{\"a\":\"\u{fffd}",
            r#"{"a":1e999}"#,
        ] {
            assert!(object(text.as_bytes()).is_none(), "{text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_none());
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert!(object(deep.as_bytes()).is_none());
    }

    #[test]
    fn base64url_has_one_spelling() {
        assert_eq!(base64url("-_-_").as_deref(), Some(&[0xfb, 0xff, 0xbf][..]));
        assert_eq!(base64url("").as_deref(), Some(&[][..]));
        for text in ["+/+/", "YQ==", "YR", "Y", "Y Q", "YQ\n"] {
            assert!(base64url(text).is_none(), "{text:?}");
        }
    }
}
