//! Finds the name that a mistyped name was meant to be.

/// Longest name that is compared, in bytes. Longer names resemble no known name.
const NAME_LIMIT: usize = 64;

/// How much a name may differ from the one that was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closeness {
    /// For a name that is known to be wrong: a third of its letters may differ, or one name may be part of the other.
    Hint,
    /// For a name that may be right: the two must be so close that they would not be chosen for different things.
    Mistyped,
}

/// The known name that is closest to `name`, if any is close enough. Case, underscores and hyphens are ignored.
pub fn nearest<'a>(name: &str, known: &[&'a str], closeness: Closeness) -> Option<&'a str> {
    let name = bare(name)?;
    let limit = match (closeness, name.len()) {
        (Closeness::Hint, len) => (len / 3).max(1),
        (Closeness::Mistyped, 0..=4) => 0,
        (Closeness::Mistyped, 5..=7) => 1,
        (Closeness::Mistyped, _) => 2,
    };
    let close = |other: &&'a str| {
        let other = bare(other)?;
        let part = closeness == Closeness::Hint
            && name.len().min(other.len()) >= 4
            && (name.starts_with(&other) || other.starts_with(&name));
        let edits = edits(&name, &other);
        (edits <= limit || part).then_some(edits)
    };
    known
        .iter()
        .filter_map(|other| Some((close(other)?, *other)))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, other)| other)
}

/// The letters and digits of a name.
fn bare(name: &str) -> Option<Vec<u8>> {
    let fits = (1..=NAME_LIMIT).contains(&name.len());
    fits.then(|| name.bytes().filter(|b| !matches!(b, b'_' | b'-')).map(|b| b.to_ascii_lowercase()).collect())
}

/// The number of letters that were omitted, added, changed, or swapped with the next one (optimal string alignment).
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OPTIONS;

    #[test]
    fn a_mistyped_name_has_its_hint() {
        for (typed, meant) in [
            ("sec_flags", "secflags"),
            ("SecFlags", "secflags"),
            ("min_ssf", "minssf"),
            ("mnissf", "minssf"),
            ("channel_binding_polcy", "channel_binding_policy"),
            ("max_buffer", "maxbuf"),
            ("iteration", "iterations"),
            ("external-ssf", "externalssf"),
        ] {
            assert_eq!(nearest(typed, OPTIONS, Closeness::Hint), Some(meant), "{typed}");
        }
        for typed in ["", "colour", "yann", "\u{e4}", "a\0b", &"x".repeat(65)] {
            assert_eq!(nearest(typed, OPTIONS, Closeness::Hint), None, "{typed}");
        }
    }

    #[test]
    fn a_name_of_the_programs_own_is_not_suspected() {
        for own in ["colour", "hosts", "ssf", "min", "realm_of_user", "service_name", "iteration_count"] {
            let found = nearest(own, OPTIONS, Closeness::Mistyped).filter(|found| *found != "host");
            assert_eq!(found, None, "{own}");
        }
        for (typed, meant) in [("sec_flags", "secflags"), ("realms", "realm"), ("max_iteration", "max_iterations")] {
            assert_eq!(nearest(typed, OPTIONS, Closeness::Mistyped), Some(meant), "{typed}");
        }
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, count) in
            [("", "", 0), ("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(edits(a.as_bytes(), b.as_bytes()), count, "{a} {b}");
            assert_eq!(edits(b.as_bytes(), a.as_bytes()), count, "{b} {a}");
        }
    }
}
