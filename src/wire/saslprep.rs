//! SASLprep, the stringprep profile for user names and passwords (RFC 4013).

use std::borrow::Cow;

use stringprep::tables;

/// Longest string with characters beyond printable ASCII that is prepared, in bytes. Preparation can make a string up to
/// 11 times as long (U+FDFA becomes 18 characters in NFKC).
pub const PREPARED_LIMIT: usize = 4096;

/// Why a string cannot be prepared. The texts continue *the password …*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unprepared {
    /// RFC 4013 §2.3: a control, private, surrogate or otherwise prohibited character.
    Prohibited,
    /// RFC 4013 §2.4: right-to-left characters mixed with others.
    Bidirectional,
    /// RFC 4013 §2.5: a stored string has a code point that Unicode 3.2 does not assign.
    Unassigned,
    /// The string is empty, before or after preparation.
    Empty,
    /// The string is longer than [`PREPARED_LIMIT`].
    TooLong,
}

impl Unprepared {
    /// The reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Unprepared::Prohibited => "holds a character that SASLprep prohibits (RFC 4013 section 2.3)",
            Unprepared::Bidirectional => "mixes writing directions (RFC 4013 section 2.4)",
            Unprepared::Unassigned => "holds an unassigned code point (RFC 4013 section 2.5)",
            Unprepared::Empty => "is empty, or holds only characters that SASLprep removes",
            Unprepared::TooLong => "is longer than 4096 bytes and has characters beyond printable ASCII",
        }
    }
}

/// Prepares a query string: one that a client sends, or that a server compares with. Code points that Unicode 3.2 does not
/// assign are allowed (RFC 3454 §7) and not changed.
///
/// # Errors
/// See [`Unprepared`].
pub fn query(text: &str) -> Result<Cow<'_, str>, Unprepared> {
    prepare(text, true)
}

/// Prepares a stored string, for instance the password from which a verifier is computed.
///
/// # Errors
/// See [`Unprepared`].
pub fn stored(text: &str) -> Result<Cow<'_, str>, Unprepared> {
    prepare(text, false)
}

fn prepare(text: &str, allow_unassigned: bool) -> Result<Cow<'_, str>, Unprepared> {
    if text.is_empty() {
        return Err(Unprepared::Empty);
    }
    // Printable ASCII needs no preparation. Nearly every string is of this kind.
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Ok(Cow::Borrowed(text));
    }
    if text.len() > PREPARED_LIMIT {
        return Err(Unprepared::TooLong);
    }
    let mapped = text.chars().filter(|&c| !tables::commonly_mapped_to_nothing(c)).map(|c| {
        if tables::non_ascii_space_character(c) {
            ' '
        } else {
            c
        }
    });
    let mapped: String = mapped.collect();
    // This comes before normalization, which would change some of them into other characters.
    let unassigned = mapped.chars().any(tables::unassigned_code_point);
    let normalized = nfkc(&mapped);
    if normalized.is_empty() {
        return Err(Unprepared::Empty);
    }
    if normalized.chars().any(prohibited) {
        return Err(Unprepared::Prohibited);
    }
    if mixes_directions(&normalized) {
        return Err(Unprepared::Bidirectional);
    }
    if unassigned && !allow_unassigned {
        return Err(Unprepared::Unassigned);
    }
    Ok(Cow::Owned(normalized))
}

/// Form KC of Unicode 3.2 (RFC 3454 §4), computed with the tables of a later version. In 3.2, unassigned code points have
/// no decomposition and combine with nothing, so the text between two of them is normalized separately.
fn nfkc(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    text.split_inclusive(tables::unassigned_code_point).fold(String::with_capacity(text.len()), |mut done, part| {
        let end = part.char_indices().next_back().filter(|(_, last)| tables::unassigned_code_point(*last));
        let (assigned, rest) = part.split_at(end.map_or(part.len(), |(at, _)| at));
        done.extend(assigned.nfkc());
        done.push_str(rest);
        done
    })
}

/// RFC 4013 §2.3: tables C.1.2, C.2.1, C.2.2 and C.3 to C.9 of RFC 3454.
fn prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::surrogate_code(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

/// RFC 3454 §6: right-to-left text contains no left-to-right character, and begins and ends with a right-to-left one.
fn mixes_directions(text: &str) -> bool {
    if !text.chars().any(tables::bidi_r_or_al) {
        return false;
    }
    let ends = [text.chars().next(), text.chars().next_back()];
    text.chars().any(tables::bidi_l) || !ends.into_iter().flatten().all(tables::bidi_r_or_al)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4013 §3.
    #[test]
    fn published_examples() {
        assert_eq!(query("I\u{ad}X").unwrap(), "IX");
        assert_eq!(query("user").unwrap(), "user");
        assert_eq!(query("USER").unwrap(), "USER");
        assert_eq!(query("\u{aa}").unwrap(), "a");
        assert_eq!(query("\u{2168}").unwrap(), "IX");
        assert_eq!(query("\u{7}"), Err(Unprepared::Prohibited));
        assert_eq!(query("\u{627}1"), Err(Unprepared::Bidirectional));
    }

    #[test]
    fn unassigned_code_points_are_for_queries_only() {
        assert!(query("a\u{221}").is_ok());
        assert_eq!(stored("a\u{221}"), Err(Unprepared::Unassigned));
    }

    /// Later versions of Unicode normalize these to `A`, `0`, `v`, `q` and others. In 3.2 they are unassigned.
    #[test]
    fn unassigned_code_points_become_no_others() {
        for unassigned in
            ["\u{1f130}", "\u{1fbf0}", "\u{2c7c}", "\u{a7f2}", "\u{32ff}", "\u{1f100}", "\u{1d7ca}", "\u{ab5c}"]
        {
            for text in [unassigned.to_owned(), format!("ad{unassigned}min"), format!("\u{e9}{unassigned}")] {
                assert_eq!(stored(&text), Err(Unprepared::Unassigned), "{text}");
                assert_eq!(query(&text).unwrap(), text);
            }
            // The text around them is prepared.
            assert_eq!(query(&format!("\u{2168}\u{ad}{unassigned}e\u{301}")).unwrap(), format!("IX{unassigned}\u{e9}"));
        }
        // A combining mark of a later version, between two of 3.2, prevents their reordering.
        let marks = "a\u{301}\u{1dff}\u{323}";
        assert_eq!(query(marks).unwrap(), "\u{e1}\u{1dff}\u{323}");
    }

    /// No code point that 3.2 assigns becomes one that it does not assign.
    #[test]
    fn what_is_assigned_stays_assigned() {
        for c in ('\0'..=char::MAX).filter(|c| !tables::unassigned_code_point(*c)) {
            assert!(!nfkc(&c.to_string()).chars().any(tables::unassigned_code_point), "{c:?}");
        }
    }

    #[test]
    fn nothing_left_is_refused() {
        assert_eq!(query(""), Err(Unprepared::Empty));
        assert_eq!(query("\u{ad}"), Err(Unprepared::Empty));
    }
}
