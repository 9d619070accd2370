//! Escapes text that others wrote for a terminal: characters that could move the cursor, change the
//! terminal's state or reverse the order of letters.

use std::fmt::Write;

/// The text with every such character escaped, including line ends.
pub(super) fn line(text: &str) -> String {
    escape(text, |_| false)
}

/// Several lines, with every such character escaped except line ends.
pub(super) fn lines(text: &str) -> String {
    escape(text, |c| c == '\n')
}

/// A value, with every such character escaped except line ends and tabs. Bytes that aren't UTF-8
/// are escaped too.
pub(super) fn value(value: &[u8]) -> String {
    let mut escaped = String::new();
    for chunk in value.utf8_chunks() {
        escaped.push_str(&escape(chunk.valid(), |c| matches!(c, '\n' | '\t')));
        for byte in chunk.invalid() {
            let _ = write!(escaped, "\\x{byte:02x}");
        }
    }
    escaped
}

/// A JSON document with the same meaning. The escaped characters can only be in its strings,
/// because everything else is ASCII.
pub(super) fn json(document: &str) -> String {
    let mut escaped = String::with_capacity(document.len());
    for c in document.chars() {
        if is_harmless(c) {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

fn escape(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) || is_kept(c) {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_default());
        }
    }
    escaped
}

fn is_harmless(c: char) -> bool {
    // C0, DEL and C1; then invisible characters that direct, join, separate or annotate text.
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
        let escaped = "a\\u{1b}[2J\\u{9b}1m\\u{7f}\\u{202e}b\\u{2066}\\u{200b}ä";
        assert_eq!(line(text), format!("{escaped}\\n\\r\\t"));
        assert_eq!(lines(text), format!("{escaped}\n\\r\\t"));
        assert_eq!(value(text.as_bytes()), format!("{escaped}\n\\r\t"));
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
        let escaped = json(&document);
        assert_eq!(escaped, "\"\\u009b31m\\u202e\\udb40\\udc41ä\\u001b\"");
        let back: String = serde_json::from_str(&escaped).unwrap();
        assert_eq!(back, text);
    }
}
