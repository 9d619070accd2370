//! The end of a lifetime as the issuer states it in the output of its command.
//!
//! The end is never later than stated: fractions of a second are cut, the earliest of several ends
//! counts, and an end that can't be read is an error. Error messages contain nothing of the output
//! but the end.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use credcache_client::Lifetime;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

use super::text;

/// The last second of the year 9999. A larger number doesn't count seconds.
const LAST_SECOND: u64 = 253_402_300_799;
/// A hundred years. A larger number doesn't count seconds.
const LONGEST: u64 = 36_500 * 24 * 60 * 60;

/// Where the command's output states the end of the lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Source {
    /// `Expiration` of a credential process, or of STS under `Credentials`.
    Aws,
    /// `status.expirationTimestamp` of a Kubernetes ExecCredential.
    ExecCredential,
    /// `expires_in` of an OAuth token response.
    Oauth,
    /// `exp` of a JWT.
    Jwt,
    /// `expiration_time` of a Google executable response.
    Google,
    /// The value to which an RFC 6901 pointer points.
    Json(Pointer),
}

/// The reference tokens of a JSON pointer, unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Pointer(Vec<String>);

/// Why the output has no readable end of the lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct LifetimeError {
    problem: String,
    expected: String,
}

impl fmt::Display for LifetimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { problem, expected } = self;
        write!(
            f,
            "can't read the end of the lifetime from the command's output: {problem}; expected \
             {expected}"
        )
    }
}

/// A value at a place where the end may be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    Time(SystemTime),
    /// Whole seconds; a fraction is cut.
    Seconds(u64),
    Other,
}

impl Source {
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "aws" => Self::Aws,
            "exec-credential" => Self::ExecCredential,
            "oauth" => Self::Oauth,
            "jwt" => Self::Jwt,
            "google" => Self::Google,
            _ => match text.strip_prefix("json:") {
                Some(pointer) => Self::Json(Pointer::parse(pointer)?),
                None => {
                    return Err(
                        "must be aws, exec-credential, oauth, jwt, google or json:POINTER, \
                                as in json:/auth/expires",
                    );
                }
            },
        })
    }

    /// The lifetime of the credential in `value`. A relative lifetime counts from before the
    /// command was run.
    pub(super) fn read(&self, value: &[u8], now: SystemTime) -> Result<Lifetime, LifetimeError> {
        self.stated(value)
            .and_then(|stated| self.lifetime(&stated, now))
            .map_err(|problem| LifetimeError {
                problem,
                expected: self.expected(),
            })
    }

    fn expected(&self) -> String {
        match self {
            Self::Aws => "Expiration or Credentials.Expiration, a time by RFC 3339".into(),
            Self::ExecCredential => "status.expirationTimestamp, a time by RFC 3339".into(),
            Self::Oauth => "expires_in, in seconds from now".into(),
            Self::Jwt => "exp, in Unix seconds, in the claims of a signed JWT".into(),
            Self::Google => "expiration_time, in Unix seconds".into(),
            Self::Json(pointer) => {
                format!("{pointer}, a time by RFC 3339 or in Unix seconds")
            }
        }
    }

    fn stated(&self, value: &[u8]) -> Result<Vec<Found>, String> {
        let at = |steps: &[&str]| Pointer(steps.iter().map(|step| (*step).into()).collect());
        let pointers = match self {
            Self::Aws => vec![at(&["Expiration"]), at(&["Credentials", "Expiration"])],
            Self::ExecCredential => vec![at(&["status", "expirationTimestamp"])],
            Self::Oauth => vec![at(&["expires_in"])],
            Self::Jwt => {
                let claims = claims(value).ok_or("the output isn't a signed JWT")?;
                return find(&claims, &[at(&["exp"])]);
            }
            Self::Google => vec![at(&["expiration_time"])],
            Self::Json(pointer) => vec![pointer.clone()],
        };
        find(value, &pointers)
    }

    fn lifetime(&self, stated: &[Found], now: SystemTime) -> Result<Lifetime, String> {
        let ends = stated.iter().map(|found| self.end(*found, now));
        let ends: Vec<_> = ends.collect::<Result<_, _>>()?;
        let Some((end, lifetime)) = ends.into_iter().min_by_key(|(end, _)| *end) else {
            return Err("the field isn't there".into());
        };
        if end <= now {
            let hint = match self {
                Self::Json(_) => " (json: reads a time; oauth reads seconds from now)",
                _ => "",
            };
            return Err(format!(
                "the time is in the past: {}{hint}",
                text::rfc3339(end)
            ));
        }
        Ok(lifetime)
    }

    fn end(&self, found: Found, now: SystemTime) -> Result<(SystemTime, Lifetime), String> {
        let absolute = |at| Ok((at, Lifetime::ExpiresAt(at)));
        match (self, found) {
            (Self::Aws | Self::ExecCredential | Self::Json(_), Found::Time(at)) => absolute(at),
            (Self::Oauth, Found::Seconds(seconds)) if seconds <= LONGEST => {
                let ttl = Duration::from_secs(seconds);
                Ok((now + ttl, Lifetime::Ttl(ttl)))
            }
            (Self::Jwt | Self::Google | Self::Json(_), Found::Seconds(seconds))
                if seconds <= LAST_SECOND =>
            {
                absolute(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            }
            (Self::Oauth | Self::Jwt | Self::Google | Self::Json(_), Found::Seconds(_)) => {
                Err("the number is too large for seconds".into())
            }
            _ => Err("the field has another form".into()),
        }
    }
}

/// The claims of a JWT in compact form. The token's recipient verifies it.
fn claims(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut parts = value.trim_ascii().split(|byte| *byte == b'.');
    let (Some(_), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let claims = claims.strip_suffix(b"==").unwrap_or(claims);
    let claims = claims.strip_suffix(b"=").unwrap_or(claims);
    BASE64_URL_SAFE_NO_PAD
        .decode(claims)
        .ok()
        .map(Zeroizing::new)
}

impl Pointer {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "POINTER must be by RFC 6901, as in json:/auth/expires";
        let steps = text.strip_prefix('/').ok_or(WRONG)?;
        let steps = steps.split('/').map(|step| {
            let tildes = step.matches('~').count();
            let escapes = step.matches("~0").count() + step.matches("~1").count();
            (tildes == escapes).then(|| step.replace("~1", "/").replace("~0", "~"))
        });
        steps.collect::<Option<_>>().map(Self).ok_or(WRONG)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

/// The values at the pointers of a JSON document. Nothing of the document is copied.
fn find(document: &[u8], pointers: &[Pointer]) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    for Pointer(steps) in pointers {
        let mut document = serde_json::Deserializer::from_slice(document);
        let search = Search {
            steps,
            found: &mut found,
        };
        search
            .deserialize(&mut document)
            .and_then(|()| document.end())
            // The message of serde_json may repeat the document.
            .map_err(|_| "the output isn't JSON")?;
    }
    Ok(found)
}

/// Descends into a document step by step, and skips everything else. If a name occurs twice, both
/// values are found.
struct Search<'a> {
    steps: &'a [String],
    found: &'a mut Vec<Found>,
}

impl Search<'_> {
    fn ends_with<E>(self, found: Found) -> Result<(), E> {
        if self.steps.is_empty() {
            self.found.push(found);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<(), D::Error> {
        document.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((step, steps)) = self.steps.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return self.ends_with(Found::Other);
        };
        while let Some(name) = map.next_key::<String>()? {
            if name == *step {
                let found = &mut *self.found;
                map.next_value_seed(Search { steps, found })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let wanted = self.steps.split_first();
        for number in 0_usize.. {
            let more = match wanted {
                Some((step, steps)) if *step == number.to_string() => {
                    let found = &mut *self.found;
                    items.next_element_seed(Search { steps, found })?
                }
                _ => items.next_element::<IgnoredAny>()?.map(drop),
            };
            if more.is_none() {
                break;
            }
        }
        self.ends_with(Found::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let text = text.trim();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let found = match text::parse_time(text) {
            Ok(time) => Found::Time(time),
            // A number with too many digits to parse is also too large for seconds.
            Err(_) if is_number => Found::Seconds(text.parse().unwrap_or(u64::MAX)),
            Err(_) => Found::Other,
        };
        self.ends_with(found)
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.ends_with(Found::Seconds(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        // A negative number is a time in the past.
        self.ends_with(Found::Seconds(u64::try_from(number).unwrap_or_default()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        let seconds = Duration::try_from_secs_f64(number.max(0.0));
        self.ends_with(Found::Seconds(seconds.map_or(u64::MAX, |it| it.as_secs())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.ends_with(Found::Other)
    }

    /// `null` counts as absent.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 2_000_000_000;
    const HOUR: u64 = 3600;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn read(source: &str, value: &str) -> Result<Lifetime, String> {
        let source = Source::parse(source).unwrap();
        let read = source.read(value.as_bytes(), at(NOW));
        read.map_err(|lifetime_error| lifetime_error.to_string())
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn end_is_read_where_each_issuer_states_it() {
        let in_an_hour = Lifetime::ExpiresAt(at(NOW + HOUR));
        let for_an_hour = Lifetime::Ttl(Duration::from_secs(HOUR));
        for (source, value, lifetime) in [
            (
                "aws",
                r#"{"Version":1,"SecretAccessKey":"qz","Expiration":"2033-05-18T04:33:20Z"}"#,
                in_an_hour,
            ),
            (
                "aws",
                r#"{"Credentials":{"SessionToken":"qz","Expiration":"2033-05-18T06:33:20+02:00"}}"#,
                in_an_hour,
            ),
            (
                "exec-credential",
                r#"{"kind":"ExecCredential","status":{"token":"qz","expirationTimestamp":"2033-05-18T04:33:20Z"}}"#,
                in_an_hour,
            ),
            (
                "oauth",
                r#"{"access_token":"qz","expires_in":3600}"#,
                for_an_hour,
            ),
            ("oauth", r#"{"expires_in":"3600"}"#, for_an_hour),
            ("oauth", r#"{"expires_in":3600.9}"#, for_an_hour),
            ("jwt", &jwt(r#"{"exp":2000003600,"sub":"qz"}"#), in_an_hour),
            ("jwt", &(jwt(r#"{"exp":2000003600.75}"#) + "\n"), in_an_hour),
            (
                "google",
                r#"{"version":1,"expiration_time":2000003600}"#,
                in_an_hour,
            ),
            (
                "json:/auth/0/e~1nd",
                r#"{"auth":[{"e/nd":"2033-05-18T04:33:20Z"}]}"#,
                in_an_hour,
            ),
            ("json:/end", r#"{"end":2000003600}"#, in_an_hour),
            ("json:/end", "{\"end\":\"2000003600\"}\n", in_an_hour),
        ] {
            assert_eq!(read(source, value), Ok(lifetime), "{source}: {value}");
        }
    }

    #[test]
    fn of_several_ends_the_earliest_counts() {
        let twice = r#"{"Expiration":"2033-05-18T05:33:20Z",
                        "Credentials":{"Expiration":"2033-05-18T04:33:20Z"}}"#;
        assert_eq!(read("aws", twice), Ok(Lifetime::ExpiresAt(at(NOW + HOUR))));
        let twice = r#"{"expires_in":60,"expires_in":3600}"#;
        assert_eq!(
            read("oauth", twice),
            Ok(Lifetime::Ttl(Duration::from_secs(60)))
        );
    }

    #[test]
    fn what_cannot_be_read_says_what_was_looked_for_and_nothing_of_the_value() {
        for (source, value, expected) in [
            ("aws", "hunter2", "isn't JSON"),
            ("aws", r#"{"Token":"hunter2"} hunter2"#, "isn't JSON"),
            (
                "aws",
                r#"{"Token":"hunter2"}"#,
                "isn't there; expected Expiration",
            ),
            ("aws", r#"{"Expiration":null}"#, "isn't there"),
            ("aws", r#"{"Expiration":"hunter2"}"#, "another form"),
            ("aws", r#"{"Expiration":2000003600}"#, "another form"),
            (
                "aws",
                r#"{"Expiration":"2033-05-18T03:33:20Z"}"#,
                "is in the past",
            ),
            (
                "exec-credential",
                r#"{"status":{"token":"hunter2"}}"#,
                "status.expirationTimestamp",
            ),
            ("oauth", r#"{"token":"hunter2"}"#, "expires_in"),
            ("oauth", r#"{"expires_in":0}"#, "is in the past"),
            ("oauth", r#"{"expires_in":-1}"#, "is in the past"),
            ("oauth", r#"{"expires_in":2000003600000}"#, "too large"),
            ("oauth", r#"{"expires_in":true}"#, "another form"),
            ("oauth", r#"{"expires_in":"hunter2"}"#, "another form"),
            ("jwt", "hunter2", "a signed JWT"),
            ("jwt", "hunter2.hunter2.hunter2", "exp"),
            ("jwt", "a.b.c.d.e", "a signed JWT"),
            ("jwt", &jwt(r#"{"sub":"hunter2"}"#), "exp, in Unix seconds"),
            ("jwt", &jwt(r#"{"exp":1999999999}"#), "is in the past"),
            ("google", r#"{"id_token":"hunter2"}"#, "expiration_time"),
            (
                "google",
                r#"{"expiration_time":2000003600000}"#,
                "too large",
            ),
            (
                "json:/end",
                r#"{"end":"hunter2"}"#,
                "another form; expected /end",
            ),
            ("json:/end", r#"{"end":{"hunter2":1}}"#, "another form"),
            ("json:/end", r#"{"end":3600}"#, "oauth reads seconds"),
            ("json:/a/0", r#"{"a":[]}"#, "isn't there; expected /a/0"),
            ("json:/a/b", r#"{"a":"hunter2"}"#, "isn't there"),
            ("json:/end", r#"{"end":1e300}"#, "too large"),
        ] {
            let message = read(source, value).unwrap_err();
            assert!(message.contains(expected), "{source} {value}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn pointer_is_read_by_its_standard() {
        for (text, steps) in [
            ("/a/b", &["a", "b"][..]),
            ("/", &[""]),
            ("/a~1b/~0~01", &["a/b", "~~1"]),
        ] {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(pointer.0, steps);
            assert_eq!(pointer.to_string(), text);
        }
        for wrong in ["", "a", "/a~", "/~2"] {
            assert!(Pointer::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Source::parse("json").is_err() && Source::parse("AWS").is_err());
    }
}
