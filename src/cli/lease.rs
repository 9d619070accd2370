//! A lease's token in hexadecimal, as scripts pass it on.

use std::{
    fmt::Write,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use credcache_client::LeaseToken;

use super::failure::Failure;

/// The lifetime of a lease of which only the token was passed on.
pub(super) const UNKNOWN_TTL: Duration = Duration::ZERO;

/// No server's tokens are longer.
const MAX_BYTES: usize = 64;
const WRONG: &str = "must be a lease's token, as `credcache get --lease` prints it";

/// The lease's token. A token can fill the key, and every process of the machine can read
/// arguments: therefore the token can come from a file.
#[derive(clap::Args, Debug)]
#[group(id = "lease_token", multiple = false)]
pub(super) struct LeaseArgs {
    /// The lease, from `get --lease`. Everybody on the machine can read arguments: --lease-file
    /// keeps the lease from them.
    #[arg(long, value_name = "TOKEN", value_parser = parse)]
    lease: Option<LeaseToken>,
    /// Read the lease from this file, or from stdin if it is '-'.
    #[arg(long, value_name = "PATH")]
    lease_file: Option<PathBuf>,
}

impl LeaseArgs {
    /// The token, if one was given. `stdin_is_free` is false if another argument reads stdin.
    pub(super) fn read(&self, stdin_is_free: bool) -> Result<Option<LeaseToken>, Failure> {
        let Some(path) = &self.lease_file else {
            return Ok(self.lease.clone());
        };
        let name = path.display();
        let token = if path == Path::new("-") {
            if !stdin_is_free {
                return Err(Failure::Usage(
                    "stdin can't hold both the value and the lease: pass one of them in a file"
                        .into(),
                ));
            }
            read_token(io::stdin().lock())
        } else {
            File::open(path).and_then(read_token)
        };
        let token = token.map_err(|error| {
            Failure::Usage(format!("can't read the lease from {name}: {error}"))
        })?;
        parse(token.trim_ascii())
            .map(Some)
            .map_err(|_| Failure::Usage(format!("{name} {}", WRONG.replacen("be", "hold", 1))))
    }
}

fn read_token(source: impl Read) -> io::Result<String> {
    let mut token = String::new();
    // Includes line ends. Longer text isn't a token.
    let max_len = 2 * MAX_BYTES as u64 + 16;
    source.take(max_len).read_to_string(&mut token)?;
    Ok(token)
}

fn parse(text: &str) -> Result<LeaseToken, &'static str> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() > 2 * MAX_BYTES || !digits.len().is_multiple_of(2) {
        return Err(WRONG);
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| u8::try_from(nibble(pair[0])? << 4 | nibble(pair[1])?).ok();
    let bytes: Option<Vec<u8>> = digits.chunks_exact(2).map(byte).collect();
    bytes.map(LeaseToken::new).ok_or(WRONG)
}

pub(super) fn hex(token: &LeaseToken) -> String {
    token.expose().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_comes_back_as_it_was_printed() {
        let token = LeaseToken::new(vec![0x00, 0x7f, 0xff]);
        assert_eq!(hex(&token), "007fff");
        assert_eq!(parse("007fff"), Ok(token.clone()));
        assert_eq!(parse("007FFF"), Ok(token));
    }

    #[test]
    fn text_that_is_no_token_is_refused() {
        let long = "00".repeat(MAX_BYTES + 1);
        for wrong in ["", "0", "0g", "+1", "é", "00 ff", &long] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn file_holds_the_token_and_a_line_end() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("lease");
        let args = LeaseArgs {
            lease: None,
            lease_file: Some(path.clone()),
        };
        for (held, token) in [
            ("00ff\n", Some(vec![0, 255])),
            ("  00ff\r\n", Some(vec![0, 255])),
            ("", None),
            ("hunter2", None),
        ] {
            std::fs::write(&path, held).unwrap();
            match (args.read(true), token) {
                (Ok(Some(read)), Some(token)) => assert_eq!(read.expose(), token),
                (Err(Failure::Usage(message)), None) => {
                    assert!(message.contains("must hold a lease's token"), "{message}");
                    assert!(!message.contains("hunter2"), "{message}");
                }
                (read, token) => panic!("{read:?} for {token:?}"),
            }
        }
        std::fs::remove_file(&path).unwrap();
        let missing = args.read(true);
        assert!(matches!(missing, Err(Failure::Usage(message)) if message.contains("can't read")));
    }

    #[test]
    fn stdin_holds_one_thing_at_a_time() {
        let args = LeaseArgs {
            lease: None,
            lease_file: Some("-".into()),
        };
        assert!(matches!(args.read(false), Err(Failure::Usage(_))));
    }
}
