//! An entry that a search has found.

use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::verifier::Verifier;
use authen_sasl_rust::wire::saslprep;
use ldap3::ResultEntry;

use super::settings::Settings;
use crate::account::Account;

/// An entry. Its values are wiped when it is dropped.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub dn: String,
    attributes: Vec<(String, Vec<Secret>)>,
}

impl Entry {
    /// Reads a SearchResultEntry (RFC 4511 §4.5.2); `None` if it is malformed.
    pub fn read(result: ResultEntry) -> Option<Self> {
        let mut parts = result.0.expect_constructed()?.into_iter();
        let dn = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
        let mut attributes = Vec::new();
        for attribute in parts.next()?.expect_constructed()? {
            let mut parts = attribute.expect_constructed()?.into_iter();
            let name = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
            let values = parts.next()?.expect_constructed()?.into_iter();
            attributes.push((name, values.map(|value| Some(value.expect_primitive()?.into())).collect::<Option<_>>()?));
        }
        // A bind with an empty name is anonymous, whatever the password (RFC 4513 §5.1.1).
        (!dn.is_empty()).then_some(Entry { dn, attributes })
    }

    fn values<'e>(&'e self, attribute: &'e str) -> impl Iterator<Item = &'e Secret> {
        let fits = move |(name, _): &&(String, Vec<Secret>)| name.eq_ignore_ascii_case(attribute);
        self.attributes.iter().filter(fits).flat_map(|(_, values)| values)
    }

    fn texts<'e>(&'e self, attribute: &'e str) -> impl Iterator<Item = &'e str> {
        self.values(attribute).filter_map(Secret::expose_str)
    }

    /// Whether this is the entry of the user of exactly this name; `None` if it has no such attribute. A directory compares names
    /// without regard to case and spaces, but each user has exactly one name, in the access rules too.
    pub fn is_of(&self, name: &str, attribute: &str) -> Option<bool> {
        let mut names = self.texts(attribute).peekable();
        names.peek()?;
        Some(names.any(|value| saslprep::query(value).is_ok_and(|prepared| prepared == name)))
    }

    /// The account in it.
    pub fn account(&self, settings: &Settings) -> Account {
        let mut account = Account {
            disabled: settings.disabled.as_ref().is_some_and(|mark| self.has(mark)),
            groups: self.groups(settings).into(),
            ..Account::default()
        };
        if settings.binds() {
            return account;
        }
        let mut others = false;
        for value in settings.verifiers.iter().flat_map(|attribute| self.values(attribute)) {
            // An entry may have passwords for other programs besides.
            match Verifier::read(value) {
                Ok(None) => others = true,
                _ => account.add(value.clone()),
            }
        }
        if others && account.verifiers.is_empty() && account.faults.is_empty() {
            account.faults.push("passwords, but no SCRAM verifier".into());
        }
        account
    }

    /// Whether it has the attribute `mark`, or the value of `attribute=value`. An attribute with options (`;lang-en`) is a subtype of
    /// the one without (RFC 4512 §2.5.2.1): the directory's filters match it too.
    fn has(&self, mark: &str) -> bool {
        let (wanted, value) = mark.split_once('=').map_or((mark, None), |(wanted, value)| (wanted, Some(value)));
        let mut values =
            self.attributes.iter().filter(|(name, _)| is_subtype(name, wanted)).flat_map(|(_, values)| values);
        match value {
            None => values.next().is_some(),
            Some(value) => values.filter_map(Secret::expose_str).any(|text| text.eq_ignore_ascii_case(value)),
        }
    }

    /// Whether the directory may have returned this attribute under another name: it is not there, but one is that is none of
    /// those `requested`. A setting may be an alias or an OID, and directories answer with the name that they prefer.
    pub fn may_rename(&self, attribute: &str, requested: &[String]) -> bool {
        !self.attributes.iter().any(|(name, _)| is_subtype(name, attribute))
            && self
                .attributes
                .iter()
                .any(|(name, _)| !requested.iter().any(|asked| base(asked).eq_ignore_ascii_case(base(name))))
    }

    /// Adds what the directory has returned for this attribute alone, under whatever name.
    pub fn add_as(&mut self, attribute: &str, alone: Entry) {
        self.attributes.extend(alone.attributes.into_iter().map(|(_, values)| (attribute.to_owned(), values)));
    }

    fn groups(&self, settings: &Settings) -> Vec<Box<str>> {
        let Some(attribute) = &settings.groups else { return Vec::new() };
        let base = settings.group_base.as_deref();
        let named = |value| base.and_then(|base| child(value, base)).unwrap_or(value);
        self.texts(attribute).map(|value| named(value).into()).collect()
    }
}

/// The name of an attribute without its options.
fn base(attribute: &str) -> &str {
    attribute.split(';').next().unwrap_or(attribute)
}

/// Whether `name` is the attribute that is wanted, perhaps with further options.
fn is_subtype(name: &str, wanted: &str) -> bool {
    let has = |option: &str| name.split(';').skip(1).any(|own| own.eq_ignore_ascii_case(option));
    base(name).eq_ignore_ascii_case(base(wanted)) && wanted.split(';').skip(1).all(has)
}

/// The value that names an entry directly below `base`; `None` if it is elsewhere, or its name contains escapes or several values.
fn child<'v>(dn: &'v str, base: &str) -> Option<&'v str> {
    let at = dn.len().checked_sub(base.len())?;
    let (first, rest) = dn.split_at_checked(at)?;
    let (_, value) = first.strip_suffix(',')?.split_once('=')?;
    let is_plain = !value.is_empty() && !value.contains(['\\', '+', ',', '"', '=', '#']) && value.trim() == value;
    (rest.eq_ignore_ascii_case(base) && is_plain).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    fn entry(attributes: &[(&str, &[&str])]) -> Entry {
        let secrets = |values: &[&str]| values.iter().map(|value| Secret::new(value.as_bytes())).collect();
        let attributes = attributes.iter().map(|(name, values)| (name.to_string(), secrets(values))).collect();
        Entry { dn: "uid=fred,dc=example,dc=org".into(), attributes }
    }

    #[test]
    fn a_name_belongs_to_one_user_in_one_spelling() {
        let fred = entry(&[("UID", &["fred", "J\u{fc}rgen"])]);
        for (name, is_of) in [("fred", true), ("J\u{fc}rgen", true), ("Fred", false), ("fred ", false), ("anna", false)]
        {
            assert_eq!(fred.is_of(name, "uid"), Some(is_of), "{name}");
        }
        // SASLprep composes the directory's name too.
        assert_eq!(entry(&[("uid", &["Ju\u{308}rgen"])]).is_of("J\u{fc}rgen", "uid"), Some(true));
        assert_eq!(fred.is_of("fred", "mail"), None);
    }

    #[test]
    fn only_verifiers_are_used() {
        let account = |attributes: &[(&str, &[&str])]| entry(attributes).account(&Settings::default());
        let dovecot = Verifier::read(&Secret::new(VERIFIER.as_bytes())).unwrap().unwrap();
        let dovecot = dovecot.print(authen_sasl_rust::store::verifier::VerifierFormat::Dovecot);
        for value in [VERIFIER, &dovecot] {
            let found = account(&[("userPassword", &["{SSHA}x", value, "hunter2"])]);
            assert_eq!((found.verifiers.len(), found.faults.len(), found.disabled), (1, 0, false), "{value}");
        }
        assert_eq!(account(&[("authpassword", &[VERIFIER])]).verifiers.len(), 1);
        let none = account(&[("userPassword", &["{SSHA}x", "hunter2"])]);
        assert!(none.verifiers.is_empty() && !format!("{:?}", none.faults).contains("hunter2"));
        assert_eq!(none.faults.len(), 1);
        let broken = account(&[("userPassword", &["{SCRAM-SHA-256}4096,AAAA"])]);
        assert_eq!((broken.verifiers.len(), broken.faults.len()), (0, 1));
        assert_eq!(account(&[("uid", &["fred"])]).faults.len(), 0);
    }

    #[test]
    fn a_mark_disables() {
        let disabled = |mark: &str, attributes: &[(&str, &[&str])]| {
            let settings = Settings { disabled: Some(mark.into()), ..Settings::default() };
            entry(attributes).account(&settings).disabled
        };
        assert!(disabled("pwdAccountLockedTime", &[("pwdaccountlockedtime", &["000001010000Z"])]));
        assert!(!disabled("pwdAccountLockedTime", &[("uid", &["fred"])]));
        assert!(disabled("nsAccountLock=true", &[("nsAccountLock", &["TRUE"])]));
        assert!(!disabled("nsAccountLock=true", &[("nsAccountLock", &["FALSE"])]));
        let tagged: &[(&str, &[&str])] = &[("Description;x-old;LANG-en", &["off"])];
        for mark in ["description", "description=off", "description;lang-en", "DESCRIPTION;lang-EN;x-old=OFF"] {
            assert!(disabled(mark, tagged), "{mark}");
        }
        for mark in ["description=on", "description;lang-de", "descriptio", "descriptions", "lang-en"] {
            assert!(!disabled(mark, tagged), "{mark}");
        }
    }

    #[test]
    fn a_mark_may_have_another_name() {
        let settings = Settings { disabled: Some("2.5.4.13=off".into()), ..Settings::default() };
        let requested = ["uid", "2.5.4.13", "memberOf"].map(String::from);
        let may_rename = |attributes: &[(&str, &[&str])]| entry(attributes).may_rename("2.5.4.13", &requested);
        assert!(may_rename(&[("uid", &["fred"]), ("description", &["off"])]));
        assert!(!may_rename(&[("UID;lang-en", &["fred"]), ("memberOf", &["x"])]));
        assert!(!may_rename(&[("2.5.4.13", &["off"]), ("description", &["off"])]), "it is there");
        let mut gone = entry(&[("uid", &["gone"]), ("description", &["off"])]);
        assert!(!gone.account(&settings).disabled);
        gone.add_as("2.5.4.13", entry(&[("description;lang-en", &["off"])]));
        assert!(gone.account(&settings).disabled);
    }

    #[test]
    fn groups_below_the_base_have_short_names() {
        let base = "ou=groups,dc=example,dc=org";
        let values = [
            ("cn=workers,ou=groups,dc=example,dc=org", "workers"),
            ("CN=Workers,OU=Groups,DC=Example,DC=org", "Workers"),
            ("cn=workers,ou=evil,ou=groups,dc=example,dc=org", ""),
            ("cn=workers,ou=evil,dc=example,dc=org", ""),
            ("cn=a\\2cou=x,ou=groups,dc=example,dc=org", ""),
            ("cn=a+ou=x,ou=groups,dc=example,dc=org", ""),
            ("cn=,ou=groups,dc=example,dc=org", ""),
            ("ou=groups,dc=example,dc=org", ""),
            ("xou=groups,dc=example,dc=org", ""),
            ("\u{fc}", ""),
        ];
        for (value, name) in values {
            let settings =
                Settings { groups: Some("memberOf".into()), group_base: Some(base.into()), ..Settings::default() };
            let groups = entry(&[("memberOf", &[value])]).account(&settings).groups;
            assert_eq!(*groups, [Box::from(if name.is_empty() { value } else { name })]);
            let whole = entry(&[("memberOf", &[value])]).account(&Settings { group_base: None, ..settings }).groups;
            assert_eq!(*whole, [Box::from(value)]);
        }
    }
}
