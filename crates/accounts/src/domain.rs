//! User names with a domain, for stores that divide a name at its `@`.

use authen_sasl_rust::config::Config;

/// True if the realm of this server is set and the name has another domain or an empty one.
///
/// A store may not support realms: it would accept `fred@victim.org` with fred's password, under that name. Some stores
/// divide at the first `@`, others at the last one, so a name with two counts as foreign too.
pub fn is_foreign(name: &str, config: &Config) -> bool {
    let ours = config.realm().filter(|realm| !realm.is_empty());
    name.split_once('@').is_some_and(|(_, domain)| domain.is_empty() || ours.is_some_and(|ours| ours != domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_own_realm_is_none() {
        let mut config = Config::default();
        for (realm, own, foreign) in [
            (None, &["fred", "fred@example.org", "fred@victim.org"][..], &["fred@"][..]),
            (Some(""), &["fred", "fred@example.org"], &["fred@"]),
            (
                Some("example.org"),
                &["fred", "fred@example.org"],
                &[
                    "fred@",
                    "fred@victim.org",
                    "fred@Example.org",
                    "fred@victim.org@example.org",
                    "fred@example.org@",
                    "@x",
                ],
            ),
        ] {
            config.set("realm", realm).unwrap();
            assert!(own.iter().all(|name| !is_foreign(name, &config)), "{realm:?}");
            assert!(foreign.iter().all(|name| is_foreign(name, &config)), "{realm:?}");
        }
    }
}
