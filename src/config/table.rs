//! The options of a connection by name: one row each, with the allowed values and the field that holds them.

use std::ops::RangeInclusive;

use crate::crypto::scram::{parse_mechanism_name, usual_iterations, Strength};
use crate::error::{Application, Error};
use crate::secret::Secret;
use crate::vocabulary::SecurityFlags;
use crate::wire::names::words;

use super::binding::BindingPolicy;
use super::connection::Config;
use super::limits::{
    DEFAULT_MAX_BUF, FRAME_LIMIT, ITERATIONS_LIMIT, MAX_ITERATIONS, MIN_ITERATIONS, OTP_SEQUENCE_LIMIT, VALUE_LIMIT,
};
use super::names::{nearest, Closeness};

struct Row {
    /// The name, then its aliases: older names, and names in other backends.
    names: &'static [&'static str],
    value: Value,
}

/// The values that an option takes, and how it is read and set. `None` restores the default.
enum Value {
    /// A number of this range.
    Number { range: RangeInclusive<u32>, get: fn(&Config) -> u32, set: fn(&mut Config, Option<u32>) },
    /// What Perl takes for true or false; false by default.
    Truth { get: fn(&Config) -> bool, set: fn(&mut Config, bool) },
    /// Any text.
    Text { get: fn(&Config) -> Option<&str>, set: fn(&mut Config, Option<&str>) },
    /// A text that is parsed, in the form that `range` describes; `set` returns `None` for any other text.
    Parsed { range: &'static str, get: fn(&Config) -> Option<String>, set: fn(&mut Config, Option<&str>) -> Option<()> },
    /// The same for a secret, which is never read back.
    Secret { range: &'static str, set: fn(&mut Config, Option<&str>) -> Option<()> },
}

use Value::{Number, Parsed, Text, Truth};

static ROWS: &[Row] = &[
    Row {
        names: &["auxprop"],
        value: Parsed {
            range: "names of properties",
            get: |config| Some(config.auxprop().join(" ")),
            set: |config, value| {
                config.rare().auxprop = words(value.unwrap_or("")).map(Into::into).collect();
                Some(())
            },
        },
    },
    Row {
        names: &["ccache"],
        value: Text { get: Config::ccache, set: |config, value| config.rare().ccache = value.map(Into::into) },
    },
    Row {
        names: &["channel_binding_policy"],
        value: Parsed {
            range: "disable, allow or require",
            get: |config| Some(config.binding_policy.name().into()),
            set: |config, value| {
                config.binding_policy = value.map_or(Some(BindingPolicy::default()), BindingPolicy::find)?;
                Some(())
            },
        },
    },
    Row {
        names: &["delegate"],
        value: Truth { get: Config::delegate, set: |config, value| config.rare().delegate = value },
    },
    Row {
        names: &["delegated_ccache"],
        value: Parsed {
            range: "the name of a credentials cache",
            get: |config| config.delegated_ccache().map(Into::into),
            set: |config, value| {
                let names_one = |name: &str| !name.is_empty() && !name.contains('\0');
                config.rare().delegated_ccache = checked(value, names_one)?.map(Into::into);
                Some(())
            },
        },
    },
    Row {
        names: &["digest_md5_utf8"],
        value: Truth { get: Config::digest_md5_utf8, set: |config, value| config.rare().digest_md5_utf8 = value },
    },
    Row {
        names: &["external_id"],
        value: Text {
            get: Config::external_id,
            set: |config, value| config.rare().external_id = value.map(Into::into),
        },
    },
    Row {
        names: &["externalssf"],
        value: Number {
            range: 0..=u32::MAX,
            get: |config| config.external_ssf,
            set: |config, value| {
                let below = config.rare.as_ref().map_or(0, |rare| rare.tls_ssf);
                config.external_ssf = value.unwrap_or(below);
                config.external_ssf_given = value.is_some();
            },
        },
    },
    Row {
        names: &["iplocalport"],
        value: Text { get: Config::local, set: |config, value| config.rare().local = value.map(Into::into) },
    },
    Row {
        names: &["ipremoteport"],
        value: Text { get: Config::remote, set: |config, value| config.rare().remote = value.map(Into::into) },
    },
    Row {
        names: &["iterations"],
        value: Number {
            range: MIN_ITERATIONS..=ITERATIONS_LIMIT,
            get: |config| config.iterations.unwrap_or(MIN_ITERATIONS),
            set: |config, value| config.iterations = value,
        },
    },
    Row {
        names: &["kerberos_password"],
        value: Truth { get: Config::kerberos_password, set: |config, value| config.rare().kerberos_password = value },
    },
    Row {
        names: &["keytab"],
        value: Text { get: Config::keytab, set: |config, value| config.rare().keytab = value.map(Into::into) },
    },
    Row {
        names: &["max_iterations"],
        value: Number {
            range: 1..=u32::MAX,
            get: |config| config.max_iterations,
            set: |config, value| config.max_iterations = value.unwrap_or(MAX_ITERATIONS),
        },
    },
    Row {
        names: &["maxbuf"],
        value: Number {
            range: 0..=u32::MAX, // Authen::SASL::Perl takes any number.
            get: |config| config.max_buf,
            set: |config, value| config.max_buf = value.unwrap_or(DEFAULT_MAX_BUF).min(FRAME_LIMIT),
        },
    },
    Row {
        names: &["maxssf"],
        value: Number { range: 0..=u32::MAX, get: Config::max_ssf, set: |config, value| config.max_ssf = value },
    },
    Row {
        names: &["min_iterations"],
        value: Number {
            range: 1..=u32::MAX,
            get: |config| config.min_iterations,
            set: |config, value| config.min_iterations = value.unwrap_or(MIN_ITERATIONS),
        },
    },
    Row {
        names: &["minssf"],
        value: Number {
            range: 0..=u32::MAX,
            get: |config| config.min_ssf,
            set: |config, value| config.min_ssf = value.unwrap_or(0),
        },
    },
    Row {
        names: &["no_confidentiality"],
        value: Truth {
            get: |config| config.no_confidentiality,
            set: |config, value| config.no_confidentiality = value,
        },
    },
    Row {
        names: &["no_integrity"],
        value: Truth { get: |config| config.no_integrity, set: |config, value| config.no_integrity = value },
    },
    Row {
        names: &["offered_bindings"],
        value: Text {
            get: Config::offered_bindings,
            set: |config, value| config.rare().offered_bindings = value.map(Into::into),
        },
    },
    Row {
        names: &["offered_mechanisms"],
        value: Parsed {
            range: "names of mechanisms",
            get: |config| config.offered_mechanisms().map(Into::into),
            set: |config, value| {
                let names_any = |list: &str| words(list).next().is_some();
                config.rare().offered_mechanisms = checked(value, names_any)?.map(Into::into);
                Some(())
            },
        },
    },
    Row {
        names: &["otp_renew"],
        value: Number {
            range: 0..=OTP_SEQUENCE_LIMIT,
            get: Config::otp_renew,
            set: |config, value| config.rare().otp_renew = value.unwrap_or(0),
        },
    },
    Row {
        names: &["principal"],
        value: Text { get: Config::principal, set: |config, value| config.rare().principal = value.map(Into::into) },
    },
    Row {
        names: &["realm"],
        value: Text { get: Config::realm, set: |config, value| config.rare().realm = value.map(Into::into) },
    },
    Row {
        names: &["salt_key", "fake_salt_key"],
        value: Value::Secret {
            range: "at least 16 bytes",
            set: |config, value| {
                let key = checked(value, |key| key.len() >= 16)?;
                config.rare().salt_key = key.map(|key| Secret::new(key.as_bytes()));
                Some(())
            },
        },
    },
    Row {
        names: &["secflags"],
        value: Parsed {
            range: "noplaintext, noactive, nodictionary, noanonymous, forward_secrecy, pass_credentials or mutual_auth",
            get: |config| {
                let set = SecurityFlags::NAMES.iter().filter(|(_, flag)| config.secflags.contains(*flag));
                Some(set.map(|(name, _)| *name).collect::<Vec<_>>().join(" "))
            },
            set: |config, value| {
                config.secflags = security_flags(value.unwrap_or(""))?;
                Some(())
            },
        },
    },
    Row {
        names: &["serverfqdn", "host"],
        value: Text { get: |config| Some(&config.host), set: |config, value| config.host = value.unwrap_or("").into() },
    },
    Row {
        names: &["service"],
        value: Text {
            get: |config| Some(&config.service),
            set: |config, value| config.service = value.unwrap_or("").into(),
        },
    },
    Row {
        names: &["tls_version"],
        value: Parsed {
            range: "four hexadecimal digits in lower case, such as 0304",
            get: |config| config.tls_version().map(Into::into),
            set: |config, value| {
                let is_hex =
                    |text: &str| text.len() == 4 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                config.rare().tls_version = checked(value, is_hex)?.map(Into::into);
                Some(())
            },
        },
    },
    Row {
        names: &["upgrade"],
        value: Parsed {
            range: "a SCRAM mechanism, or one and its iterations from 4096 up to 2000000",
            get: |config| {
                config.upgrade().map(|Strength { hash, iterations }| format!("SCRAM-{} {iterations}", hash.name()))
            },
            set: |config, value| {
                config.set_upgrade(value.map(|value| strength(value).ok_or(())).transpose().ok()?);
                Some(())
            },
        },
    },
];

/// `SCRAM-SHA-512`, or `SCRAM-SHA-512 100000`. More iterations than clients accept by default would lock users out.
fn strength(text: &str) -> Option<Strength> {
    let mut words = text.split_ascii_whitespace();
    let (hash, _) = parse_mechanism_name(&words.next()?.to_ascii_uppercase())?;
    let iterations = words.next().map_or(Some(usual_iterations(hash)), |count| count.parse().ok())?;
    let fits = words.next().is_none() && (MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations);
    fits.then_some(Strength { hash, iterations })
}

/// All names that [`Config::set`] takes.
pub const OPTIONS: &[&str] = &names();

const fn count() -> usize {
    let (mut row, mut count) = (0, 0);
    while row < ROWS.len() {
        count += ROWS[row].names.len();
        row += 1;
    }
    count
}

const fn names() -> [&'static str; count()] {
    let mut all = [""; count()];
    let (mut row, mut filled) = (0, 0);
    while row < ROWS.len() {
        let mut at = 0;
        while at < ROWS[row].names.len() {
            all[filled] = ROWS[row].names[at];
            filled += 1;
            at += 1;
        }
        row += 1;
    }
    all
}

/// The option of that name, and its name as a static string.
fn find(name: &str) -> Option<(&'static Value, &'static str)> {
    ROWS.iter().find_map(|row| Some((&row.value, *row.names.iter().find(|known| **known == name)?)))
}

impl Config {
    /// Sets an option by the name that callers use, one of [`OPTIONS`]. `None` restores the default.
    ///
    /// # Errors
    /// [`Application::Option`] or [`Application::Number`] with the name and the range for a value out of range;
    /// [`Application::UnknownOption`] for an unknown name.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let Some((option, name)) = find(name) else {
            let nearest = nearest(name, OPTIONS, Closeness::Hint);
            return Err(Application::UnknownOption { name: name.into(), nearest }.into());
        };
        if value.is_some_and(|value| value.len() > VALUE_LIMIT) {
            return Err(Application::Option { name, range: "at most 65536 bytes" }.into());
        }
        match option {
            Number { range, set, .. } => {
                let wrong = Application::Number { name, least: *range.start(), most: *range.end() };
                let number = |text: &str| text.parse().ok().filter(|number| range.contains(number));
                set(self, value.map(|text| number(text).ok_or(wrong)).transpose()?);
            }
            Truth { set, .. } => set(self, !matches!(value, None | Some("" | "0"))),
            Text { set, .. } => set(self, value),
            Parsed { range, set, .. } | Value::Secret { range, set } => {
                set(self, value).ok_or(Application::Option { name, range })?;
            }
        }
        Ok(())
    }

    /// Reads an option by the name that callers use; `None` for an unknown or unset one.
    /// A secret option is not returned.
    pub fn get(&self, name: &str) -> Option<String> {
        match find(name)?.0 {
            Number { get, .. } => Some(get(self).to_string()),
            Truth { get, .. } => Some(u8::from(get(self)).to_string()),
            Text { get, .. } => get(self).map(Into::into),
            Parsed { get, .. } => get(self),
            Value::Secret { .. } => None,
        }
    }
}

/// The value if it fits or is absent; `None` if it does not fit.
fn checked(value: Option<&str>, fits: impl Fn(&str) -> bool) -> Option<Option<&str>> {
    value.is_none_or(fits).then_some(value)
}

fn security_flags(text: &str) -> Option<SecurityFlags> {
    let mut flags = SecurityFlags::NONE;
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
        let (_, flag) = SecurityFlags::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word))?;
        flags = flags.union(*flag);
    }
    Some(flags)
}
