//! The sources of a credential's value: stdin, a file or a command's output. Arguments aren't a
//! source, because every process of the machine can read them.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use credcache_client::Secret;

use super::failure::Failure;

/// The largest message that a server accepts. The server's limit on values is lower and
/// configurable.
pub(super) const MAX_VALUE: usize = 4 << 20;

/// Why bytes aren't accepted as a credential's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueError {
    /// The value has more than [`MAX_VALUE`] bytes.
    TooLarge,
    /// The value is empty: usually, the command that should print it failed.
    Empty,
}

/// Accepts a value that was read, after dropping a newline from its end if `trim_newline` is set.
pub(super) fn accept(mut value: Vec<u8>, trim_newline: bool) -> Result<Secret, ValueError> {
    if value.len() > MAX_VALUE {
        return Err(ValueError::TooLarge);
    }
    if trim_newline && value.ends_with(b"\n") {
        value.pop();
        if value.ends_with(b"\r") {
            value.pop();
        }
    }
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    Ok(Secret::new(value))
}

/// Reads the value from the file, or from stdin without a file. This call blocks: the command has
/// nothing else to do until it has the value.
pub(super) fn read(file: Option<&Path>, trim_newline: bool) -> Result<Secret, Failure> {
    let Some(path) = file else {
        return read_from(io::stdin().lock(), "stdin", trim_newline);
    };
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
    read_from(file, &name, trim_newline)
}

fn read_from(source: impl Read, name: &str, trim_newline: bool) -> Result<Secret, Failure> {
    let mut value = Vec::new();
    let mut bounded = source.take(MAX_VALUE as u64 + 1);
    bounded
        .read_to_end(&mut value)
        .map_err(|error| unreadable(name, &error))?;
    accept(value, trim_newline).map_err(|value_error| {
        Failure::Usage(match value_error {
            ValueError::TooLarge => {
                format!("{name} holds more than 4 MiB; no server accepts that much")
            }
            ValueError::Empty => format!("{name} is empty; it must hold the credential's value"),
        })
    })
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::Usage(format!("can't read the value from {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(source: &[u8], trim_newline: bool) -> Option<Vec<u8>> {
        let secret = read_from(source, "stdin", trim_newline).ok()?;
        Some(secret.expose().to_vec())
    }

    #[test]
    fn value_is_taken_as_it_is() {
        assert_eq!(value(b"token\n", false).unwrap(), b"token\n");
        assert_eq!(value(b"\xff\x00", false).unwrap(), b"\xff\x00");
    }

    #[test]
    fn one_newline_is_trimmed_on_request() {
        assert_eq!(value(b"token\n\n", true).unwrap(), b"token\n");
        assert_eq!(value(b"token\r\n", true).unwrap(), b"token");
        assert_eq!(value(b"token", true).unwrap(), b"token");
    }

    #[test]
    fn nothing_is_no_value() {
        assert_eq!(value(b"", false), None);
        assert_eq!(value(b"\n", true), None);
    }

    #[test]
    fn endless_source_is_given_up_at_the_bound() {
        assert_eq!(
            value(&vec![b'x'; MAX_VALUE], false).unwrap().len(),
            MAX_VALUE
        );
        let endless = read_from(io::repeat(b'x'), "stdin", false);
        assert!(matches!(endless, Err(Failure::Usage(_))));
    }

    #[test]
    fn missing_file_is_named() {
        let missing = read(Some(Path::new("/nonexistent/value")), false);
        assert!(
            matches!(missing, Err(Failure::Usage(text)) if text.contains("/nonexistent/value"))
        );
    }
}
