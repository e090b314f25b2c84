//! Lists of names: of mechanisms (RFC 4422 §3.1) and of channel binding types.

/// Maximum number of mechanism names in a list. The rest of a longer list is ignored.
pub const NAMES_LIMIT: usize = 256;
/// The names in a list. Every character that a mechanism's name cannot contain is a separator (RFC 4422 §3.1).
pub fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .filter(|name| !name.is_empty())
        .take(NAMES_LIMIT)
}

/// The name as the list spells it, if the list contains it in upper or lower case.
fn listed<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    names(list).find(|listed| listed.eq_ignore_ascii_case(name))
}

/// The name as the list spells it. Programs remove the name of a failed mechanism from their list and try again. This would
/// never end if the name came back in another case.
pub fn spelling<'a>(list: &'a str, name: &'a str) -> &'a str {
    listed(list, name).unwrap_or(name)
}

/// True if the list contains that name, in upper or lower case.
pub fn lists(list: &str, name: &str) -> bool {
    listed(list, name).is_some()
}

/// True if the list contains a -PLUS variant, in upper or lower case.
pub fn offers_binding(list: &str) -> bool {
    names(list).any(|name| name.len() > 5 && name[name.len() - 5..].eq_ignore_ascii_case("-PLUS"))
}

/// The words of a list, separated by blanks or commas: channel binding types, values of options.
pub fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_as_the_list_spells_it() {
        assert_eq!(spelling("login,Plain PLAIN", "PLAIN"), "Plain");
        assert_eq!(spelling("SCRAM-SHA-1-PLUS scram-sha-1", "SCRAM-SHA-1"), "scram-sha-1");
        assert_eq!(spelling("PLAIN", "OTP"), "OTP");
    }
}
