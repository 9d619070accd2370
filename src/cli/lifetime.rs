//! The lifetime of a credential, as people type it and as issuers state it, and how a tier
//! shortened it.

mod stated;

use std::time::{Duration, SystemTime};

use credcache_client::{Client, Lifetime};

pub(super) use self::stated::{LifetimeError, Source};
use super::{escape, failure::Failure, text};
use crate::{clock::Clock, duration};

/// The lifetime arguments of `put`.
#[derive(clap::Args, Debug)]
#[group(id = "typed_lifetime", required = true, multiple = false)]
pub(super) struct LifetimeArgs {
    /// How long the credential lives, as in 90s, 15m or 1h 30m.
    #[arg(long, value_name = "DURATION", value_parser = text::parse_interval)]
    ttl: Option<Duration>,
    /// When the credential's lifetime ends, by RFC 3339, as in 2031-05-01T12:00:00Z or
    /// 2031-05-01T14:00:00+02:00.
    #[arg(long, value_name = "TIME", value_parser = text::parse_time)]
    expires_at: Option<SystemTime>,
}

/// The lifetime arguments of `fetch`.
#[derive(clap::Args, Debug)]
#[group(id = "any_lifetime", required = true, multiple = false)]
pub(super) struct FetchedLifetimeArgs {
    /// How long the credential lives, as in 90s, 15m or 1h 30m, counted from before the command is
    /// run.
    #[arg(long, value_name = "DURATION", value_parser = text::parse_interval)]
    ttl: Option<Duration>,
    /// When the credential's lifetime ends, by RFC 3339, as in 2031-05-01T12:00:00Z or
    /// 2031-05-01T14:00:00+02:00.
    #[arg(long, value_name = "TIME", value_parser = text::parse_time)]
    expires_at: Option<SystemTime>,
    /// Read the end from what the command prints: aws, exec-credential, oauth, jwt, google or
    /// json:POINTER.
    #[arg(long, value_name = "SOURCE", value_parser = Source::parse)]
    lifetime_from: Option<Source>,
}

/// The source of a fetched credential's lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FetchedLifetime {
    Typed(Lifetime),
    Stated(Source),
}

impl LifetimeArgs {
    pub(super) fn lifetime(&self) -> Result<Lifetime, Failure> {
        match (self.ttl, self.expires_at) {
            (Some(ttl), None) => Ok(Lifetime::Ttl(ttl)),
            (None, Some(expires_at)) => Ok(Lifetime::ExpiresAt(expires_at)),
            _ => Err(Failure::Usage("give either --ttl or --expires-at".into())),
        }
    }
}

impl FetchedLifetimeArgs {
    pub(super) fn into_lifetime(self) -> Result<FetchedLifetime, Failure> {
        match (self.ttl, self.expires_at, self.lifetime_from) {
            (Some(ttl), None, None) => Ok(FetchedLifetime::Typed(Lifetime::Ttl(ttl))),
            // The server's clock decides, but if the time is past by this machine's clock too, the
            // fetch would be in vain.
            (None, Some(end), None) if end <= wall_now() => Err(Failure::Usage(format!(
                "--expires-at {} is in the past: the fetched credential would have expired",
                text::rfc3339(end)
            ))),
            (None, Some(end), None) => Ok(FetchedLifetime::Typed(Lifetime::ExpiresAt(end))),
            (None, None, Some(source)) => Ok(FetchedLifetime::Stated(source)),
            _ => Err(Failure::Usage(
                "give one of --ttl, --expires-at and --lifetime-from".into(),
            )),
        }
    }
}

impl FetchedLifetime {
    /// The lifetime of the command's output.
    pub(super) fn of(&self, value: &[u8]) -> Result<Lifetime, LifetimeError> {
        match self {
            Self::Typed(lifetime) => Ok(*lifetime),
            Self::Stated(source) => source.read(value, wall_now()),
        }
    }
}

/// The wall clock of this machine.
pub(super) fn wall_now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Clock::System.now().wall.since_unix()
}

/// The message if the tier stores the credential for less than the requested lifetime.
pub(super) async fn shortening_note(
    client: &Client,
    requested: Lifetime,
    tier: &str,
    ends: SystemTime,
) -> Option<String> {
    let ends = text::rfc3339(ends);
    match requested {
        Lifetime::ExpiresAt(requested) => {
            let requested = text::rfc3339(requested);
            (requested != ends).then(|| {
                format!(
                    "tier {} is shorter: the credential is stored until {ends}, not {requested}",
                    escape::line(tier)
                )
            })
        }
        // The clocks of the two machines may differ, so the tier's own bound is compared. A caller
        // that may not read Stats gets no message.
        Lifetime::Ttl(ttl) => {
            let stats = client.stats(None).await.ok()?;
            let longest = stats.tiers.iter().find(|it| it.name == tier)?.max_ttl;
            (longest < ttl).then(|| {
                format!(
                    "tier {} keeps credentials for at most {}: this one is stored until {ends}, \
                     not for {}",
                    escape::line(tier),
                    duration::format(longest),
                    duration::format(ttl)
                )
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        lifetime: LifetimeArgs,
    }

    #[derive(Parser)]
    struct FetchLine {
        #[command(flatten)]
        lifetime: FetchedLifetimeArgs,
    }

    fn fetched(args: &[&str]) -> Option<FetchedLifetime> {
        let line = FetchLine::try_parse_from([&["fetch"], args].concat()).ok()?;
        line.lifetime.into_lifetime().ok()
    }

    #[test]
    fn exactly_one_lifetime_is_required() {
        let lifetime = |args: &[&str]| {
            let line = Line::try_parse_from([&["put"], args].concat()).ok()?;
            line.lifetime.lifetime().ok()
        };
        let end = ["--expires-at", "2031-05-01T14:00:00+02:00"];
        assert_eq!(
            lifetime(&["--ttl", "90s"]),
            Some(Lifetime::Ttl(Duration::from_secs(90)))
        );
        assert!(matches!(lifetime(&end), Some(Lifetime::ExpiresAt(_))));
        assert_eq!(lifetime(&[]), None);
        assert_eq!(lifetime(&["--ttl", "1h", end[0], end[1]]), None);
        assert_eq!(lifetime(&["--expires-at", "tomorrow"]), None);
        assert_eq!(lifetime(&["--ttl", "0s"]), None);
        assert_eq!(lifetime(&["--ttl", "15M"]), None);
    }

    #[test]
    fn end_that_the_issuer_states_takes_the_place_of_a_typed_one() {
        assert_eq!(
            fetched(&["--lifetime-from", "aws"]),
            Some(FetchedLifetime::Stated(Source::Aws))
        );
        let ttl = fetched(&["--ttl", "90s"]).unwrap();
        let lifetime = ttl.of(b"whatever").unwrap();
        assert_eq!(lifetime, Lifetime::Ttl(Duration::from_secs(90)));
        for wrong in [
            &["--lifetime-from", "aws", "--ttl", "1h"][..],
            &["--lifetime-from", "saml"],
            &["--ttl", "0s"],
            &[],
        ] {
            assert_eq!(fetched(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn nothing_is_fetched_for_an_end_that_is_past() {
        assert_eq!(fetched(&["--expires-at", "2001-05-01T12:00:00Z"]), None);
        assert!(fetched(&["--expires-at", "2931-05-01T12:00:00Z"]).is_some());
    }
}
