//! How long a credential lives, as it is typed or as its issuer states it, and
//! what a tier made of that.

mod stated;

use std::time::{Duration, SystemTime};

use credcache_client::{Client, Lifetime};

pub(super) use self::stated::{Source, Unstated};
use super::{failure::Failure, shown, text};
use crate::{clock::Clock, duration};

/// Of `put`.
#[derive(clap::Args, Debug)]
#[group(id = "typed_lifetime", required = true, multiple = false)]
pub(super) struct LifetimeArgs {
    /// How long it lives, as in 90s, 15m or 1h 30m.
    #[arg(long, value_name = "DURATION", value_parser = text::parse_interval)]
    ttl: Option<Duration>,
    /// When it ends, by RFC 3339, as in 2031-05-01T12:00:00Z or
    /// 2031-05-01T14:00:00+02:00.
    #[arg(long, value_name = "TIME", value_parser = text::parse_time)]
    expires_at: Option<SystemTime>,
}

/// Of `fetch`.
#[derive(clap::Args, Debug)]
#[group(id = "any_lifetime", required = true, multiple = false)]
pub(super) struct FetchedLifetimeArgs {
    /// How long it lives, as in 90s, 15m or 1h 30m, counted from before the
    /// command is run.
    #[arg(long, value_name = "DURATION", value_parser = text::parse_interval)]
    ttl: Option<Duration>,
    /// When it ends, by RFC 3339, as in 2031-05-01T12:00:00Z or
    /// 2031-05-01T14:00:00+02:00.
    #[arg(long, value_name = "TIME", value_parser = text::parse_time)]
    expires_at: Option<SystemTime>,
    /// Read the end from what the command prints: aws, exec-credential, oauth,
    /// jwt, google or json:POINTER.
    #[arg(long, value_name = "SOURCE", value_parser = Source::parse)]
    lifetime_from: Option<Source>,
}

/// Where the lifetime of what is fetched comes from.
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
            // The server's clock decides; but by this machine's, too, it would be
            // fetched in vain.
            (None, Some(end), None) if end <= wall_now() => Err(Failure::Usage(format!(
                "--expires-at {} is past: what is fetched would have ended",
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
    /// The lifetime of what the command printed.
    pub(super) fn of(&self, value: &[u8]) -> Result<Lifetime, Unstated> {
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

/// What to say if less was stored than `asked`, as the tier is shorter.
pub(super) async fn cut(
    client: &Client,
    asked: Lifetime,
    tier: &str,
    ends: SystemTime,
) -> Option<String> {
    let ends = text::rfc3339(ends);
    match asked {
        Lifetime::ExpiresAt(asked) => {
            let asked = text::rfc3339(asked);
            (asked != ends).then(|| {
                format!(
                    "tier {} doesn't keep it for so long: it is stored until {ends}, not {asked}",
                    shown::line(tier)
                )
            })
        }
        // The two machines' clocks may differ: the tier's own bound tells. Who
        // may not ask for it isn't told.
        Lifetime::Ttl(ttl) => {
            let stats = client.stats(None).await.ok()?;
            let longest = stats.tiers.iter().find(|it| it.name == tier)?.max_ttl;
            (longest < ttl).then(|| {
                format!(
                    "tier {} keeps nothing for longer than {}: it is stored until {ends}, not \
                     for {}",
                    shown::line(tier),
                    duration::shown(longest),
                    duration::shown(ttl)
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
