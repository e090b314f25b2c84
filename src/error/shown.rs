//! Makes untrusted text safe for a terminal or a log.

/// An untrusted text, safe for a terminal or a log. Characters that do not print are escaped as `\n` or `\u{202e}`:
/// controls, line separators, and format characters, including those that change the direction of writing.
pub fn escaped(text: &str) -> String {
    // Most texts are names and reasons in ASCII.
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return text.to_owned();
    }
    // Escaped as in a literal, except for quotation marks and backslashes: "isn't" is harmless.
    const PLAIN: [char; 3] = ['\'', '"', '\\'];
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(PLAIN) {
        let rest = piece.trim_end_matches(PLAIN);
        out.extend(rest.escape_debug());
        out.push_str(&piece[rest.len()..]);
    }
    out
}

/// A name, [`escaped`] and cut to [`SHOWN_LIMIT`] characters.
pub(super) fn shown(name: &str) -> String {
    let end = name.char_indices().nth(SHOWN_LIMIT).map_or(name.len(), |(end, _)| end);
    escaped(&name[..end])
}

/// The maximum of a peer's own text that an error text repeats, in bytes.
pub const SHOWN_LIMIT: usize = 200;

/// A peer's own text, which may not be UTF-8, [`escaped`] and cut to [`SHOWN_LIMIT`] bytes.
pub fn printable(peer_text: &[u8]) -> String {
    shown(&String::from_utf8_lossy(&peer_text[..peer_text.len().min(SHOWN_LIMIT)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_print_is_escaped() {
        for (text, shown) in [
            ("isn't \"C:\\d\" ren\u{e9}e \u{5b89}", "isn't \"C:\\d\" ren\u{e9}e \u{5b89}"),
            ("a\r\nb\0\u{1b}[31m\u{85}", "a\\r\\nb\\0\\u{1b}[31m\\u{85}"),
            ("gro\u{202e}txt.exe\u{2066}\u{2069}", "gro\\u{202e}txt.exe\\u{2066}\\u{2069}"),
            ("a\u{200b}b\u{feff}\u{ad}\u{2028}\u{e0041}", "a\\u{200b}b\\u{feff}\\u{ad}\\u{2028}\\u{e0041}"),
            ("\u{200f}\u{200e}\u{61c}\u{202a}", "\\u{200f}\\u{200e}\\u{61c}\\u{202a}"),
            // Combining marks belong to the letter before them, for instance in Hindi.
            ("\u{928}\u{93f}\u{930}", "\u{928}\u{93f}\u{930}"),
        ] {
            assert_eq!(escaped(text), shown);
            assert_eq!(printable(text.as_bytes()), shown);
        }
        assert_eq!(printable(b"caf\xe9\n"), "caf\u{fffd}\\n");
        assert_eq!(shown(&"\u{e9}".repeat(500)), "\u{e9}".repeat(SHOWN_LIMIT));
        assert_eq!(printable(&[b'x'; 500]).len(), SHOWN_LIMIT);
    }
}
