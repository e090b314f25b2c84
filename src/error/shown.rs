//! Foreign text as it may be shown on a terminal or in a log.

/// A text of the peer's making as it may be shown on a terminal or in a log: what does not print (controls, line separators, and
/// characters of format, among them those that turn the direction of writing) stands as `\n` or `\u{202e}`.
pub fn escaped(text: &str) -> String {
    // The literal's own escapes, but for those of quotation marks and backslashes: "isn't" is no danger.
    const PLAIN: [char; 3] = ['\'', '"', '\\'];
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(PLAIN) {
        let rest = piece.trim_end_matches(PLAIN);
        out.extend(rest.escape_debug());
        out.push_str(&piece[rest.len()..]);
    }
    out
}

/// A name as it may be shown: [`escaped`], and not at length.
pub(super) fn shown(name: &str) -> String {
    let end = name.char_indices().nth(SHOWN_LIMIT).map_or(name.len(), |(end, _)| end);
    escaped(&name[..end])
}

/// What of a peer's own words is repeated in an error text, at most, in bytes.
pub const SHOWN_LIMIT: usize = 200;

/// What of a peer's own words may be shown, which may be no UTF-8: [`escaped`], and not at length.
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
            // Marks belong to the letter before them: Hindi is written with them.
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
