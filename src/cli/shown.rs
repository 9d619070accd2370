//! Text that others wrote, made fit for a terminal: what could move its cursor,
//! change its state or turn the order of letters around is escaped.

use std::fmt::Write;

/// The text with every such character escaped, line ends too.
pub(super) fn line(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same for several lines.
pub(super) fn lines(text: &str) -> String {
    escaped(text, |c| c == '\n')
}

/// The same for a value: a tab stays too, and bytes that are no text are
/// escaped.
pub(super) fn value(value: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in value.utf8_chunks() {
        shown.push_str(&escaped(chunk.valid(), |c| matches!(c, '\n' | '\t')));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// A JSON document, which means the same afterwards: the characters stand in
/// its strings, for all else of it is ASCII.
pub(super) fn json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for c in document.chars() {
        if is_harmless(c) {
            shown.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) || is_kept(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    shown
}

fn is_harmless(c: char) -> bool {
    // C0, DEL and C1; then what directs, joins, separates or annotates text
    // without being seen.
    !(c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_c1_and_bidi_characters_are_escaped() {
        let text = "a\x1b[2J\u{9b}1m\u{7f}\u{202e}b\u{2066}\u{200b}ä\n\r\t";
        let shown = "a\\u{1b}[2J\\u{9b}1m\\u{7f}\\u{202e}b\\u{2066}\\u{200b}ä";
        assert_eq!(line(text), format!("{shown}\\n\\r\\t"));
        assert_eq!(lines(text), format!("{shown}\n\\r\\t"));
        assert_eq!(value(text.as_bytes()), format!("{shown}\n\\r\t"));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_by_their_numbers() {
        assert_eq!(value(b"qz\0\xff\xfe\n"), "qz\\u{0}\\xff\\xfe\n");
        assert_eq!(value("eyJhbGciOi".as_bytes()), "eyJhbGciOi");
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let text = "\u{9b}31m\u{202e}\u{e0041}ä\x1b";
        let document = serde_json::Value::from(text).to_string();
        let shown = json(&document);
        assert_eq!(shown, "\"\\u009b31m\\u202e\\udb40\\udc41ä\\u001b\"");
        let back: String = serde_json::from_str(&shown).unwrap();
        assert_eq!(back, text);
    }
}
