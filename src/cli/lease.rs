//! A lease's token as scripts pass it on: in hexadecimal.

use std::{fmt::Write, time::Duration};

use credcache_client::LeaseToken;

/// Of a lease whose token is all that was passed on.
pub(super) const UNKNOWN_TTL: Duration = Duration::ZERO;

/// No server's tokens are longer.
const MOST_BYTES: usize = 64;

pub(super) fn parse(text: &str) -> Result<LeaseToken, &'static str> {
    const WRONG: &str = "not a lease's token, as `credcache get --lease` prints it";
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() > 2 * MOST_BYTES || !digits.len().is_multiple_of(2) {
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
        let long = "00".repeat(MOST_BYTES + 1);
        for wrong in ["", "0", "0g", "+1", "é", "00 ff", &long] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
