//! How long a credential lives, as it is typed.

use std::time::{Duration, SystemTime};

use credcache_client::Lifetime;

use super::failure::Failure;

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct LifetimeArgs {
    /// How long it lives, as in 15m or 1h 30m.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// When it ends, in UTC, as in 2031-05-01T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339)]
    expires_at: Option<SystemTime>,
}

impl LifetimeArgs {
    pub(super) fn into_lifetime(self) -> Result<Lifetime, Failure> {
        match (self.ttl, self.expires_at) {
            (Some(ttl), None) => Ok(Lifetime::Ttl(ttl)),
            (None, Some(expires_at)) => Ok(Lifetime::ExpiresAt(expires_at)),
            _ => Err(Failure::Usage("give either --ttl or --expires-at".into())),
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

    #[test]
    fn exactly_one_lifetime_is_required() {
        let lifetime = |args: &[&str]| {
            let line = Line::try_parse_from([&["put"], args].concat()).ok()?;
            line.lifetime.into_lifetime().ok()
        };
        let end = ["--expires-at", "2031-05-01T12:00:00Z"];
        assert_eq!(
            lifetime(&["--ttl", "90s"]),
            Some(Lifetime::Ttl(Duration::from_secs(90)))
        );
        assert!(matches!(lifetime(&end), Some(Lifetime::ExpiresAt(_))));
        assert_eq!(lifetime(&[]), None);
        assert_eq!(lifetime(&["--ttl", "1h", end[0], end[1]]), None);
        assert_eq!(lifetime(&["--expires-at", "tomorrow"]), None);
    }
}
