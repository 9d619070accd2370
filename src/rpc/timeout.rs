//! The timeout of a call.

use std::time::Duration;

use http::HeaderMap;

/// The error of a malformed `grpc-timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedTimeout;

/// The caller's `grpc-timeout`: at most 8 digits and a unit.
///
/// # Errors
/// The header has another form.
pub(crate) fn parse_timeout(headers: &HeaderMap) -> Result<Option<Duration>, MalformedTimeout> {
    let Some(text) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let (unit, digits) = text.as_bytes().split_last().ok_or(MalformedTimeout)?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(MalformedTimeout);
    }
    let count = digits
        .iter()
        .fold(0, |count: u64, digit| count * 10 + u64::from(digit - b'0'));
    Ok(Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return Err(MalformedTimeout),
    }))
}

/// The timeout of a call that has begun. Calls with a malformed timeout don't begin.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    parse_timeout(headers).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<Duration>, MalformedTimeout> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        parse_timeout(&headers)
    }

    #[test]
    fn every_unit_of_grpc_timeout_is_read() {
        assert_eq!(parsed("2H"), Ok(Some(Duration::from_secs(7200))));
        assert_eq!(parsed("2M"), Ok(Some(Duration::from_secs(120))));
        assert_eq!(parsed("2S"), Ok(Some(Duration::from_secs(2))));
        assert_eq!(parsed("2m"), Ok(Some(Duration::from_millis(2))));
        assert_eq!(parsed("2u"), Ok(Some(Duration::from_micros(2))));
        assert_eq!(
            parsed("99999999n"),
            Ok(Some(Duration::from_nanos(99_999_999)))
        );
    }

    #[test]
    fn malformed_grpc_timeout_is_told_from_none() {
        for text in [
            "",
            "S",
            "1",
            "1s",
            "+1S",
            "-1S",
            "1.5S",
            "123456789S",
            " 1S",
            "ä",
        ] {
            assert_eq!(parsed(text), Err(MalformedTimeout), "{text:?}");
        }
    }

    #[test]
    fn call_without_grpc_timeout_has_no_deadline() {
        assert_eq!(parse_timeout(&HeaderMap::new()), Ok(None));
    }
}
