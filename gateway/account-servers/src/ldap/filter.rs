//! The search filter, with a user's name in it.

use ldap3::{ldap_escape, parse_filter};

/// What the name replaces.
const PLACEHOLDER: &str = "{name}";

/// A filter (RFC 4515) with `{name}` in it.
#[derive(Debug, Clone)]
pub struct Filter(Box<str>);

impl Filter {
    /// Checks a filter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.contains(PLACEHOLDER) {
            return Err(format!("expected {PLACEHOLDER} in the filter"));
        }
        let filter = Filter(text.into());
        // Only values may contain an escape (RFC 4515 §3): in an attribute's place a name could choose the attribute.
        match parse_filter(&*filter.of("(*)")) {
            Ok(_) => Ok(filter),
            Err(()) => Err(format!("not a filter (RFC 4515) with {PLACEHOLDER} as a value, or a part of one")),
        }
    }

    /// The filter for this name. Whatever the name contains, it is a value there (RFC 4515 §3).
    pub fn of(&self, name: &str) -> Box<str> {
        self.0.replace(PLACEHOLDER, &ldap_escape(name)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_value() {
        let filter = Filter::parse("(&(objectClass=account)(uid={name}))").unwrap();
        for (name, escaped) in [
            ("fred", "fred"),
            ("*", "\\2a"),
            ("fr*", "fr\\2a"),
            ("fred)(uid=*", "fred\\29\\28uid=\\2a"),
            ("*)(|(uid=*", "\\2a\\29\\28|\\28uid=\\2a"),
            ("fred)(!(disabled=TRUE)", "fred\\29\\28!\\28disabled=TRUE\\29"),
            ("\\2a", "\\5c2a"),
            ("fr\0ed", "fr\\00ed"),
            ("J\u{fc}rgen \u{1f600}", "J\u{fc}rgen \u{1f600}"),
            ("{name}", "{name}"),
            ("&|!=~<>:;", "&|!=~<>:;"),
        ] {
            let text = filter.of(name);
            assert_eq!(&*text, format!("(&(objectClass=account)(uid={escaped}))"));
            // As an application puts it on the wire: one condition, and the name as it is.
            let Ok(parsed) = parse_filter(&*text) else { panic!("{text}") };
            let shown = format!("{parsed:?}");
            assert!(shown.contains(&format!("{:?}", name.as_bytes())), "{shown}");
            assert_eq!(shown.matches("ExplicitTag").count(), 0, "{shown}");
        }
        let twice = Filter::parse("(|(uid={name})(mail={name}@example.org))").unwrap();
        assert_eq!(&*twice.of("a*"), "(|(uid=a\\2a)(mail=a\\2a@example.org))");
    }

    #[test]
    fn filters_are_checked() {
        for good in ["(uid={name})", "uid={name}", "(uid=x-{name})", "(uid:caseExactMatch:={name})"] {
            assert!(Filter::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "(uid=fred)",
            "(uid={name}",
            "({name}=fred)",
            "(uid:{name}:=fred)",
            "(&(uid={name})",
            "{name}",
            "(uid={name}))",
        ] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
