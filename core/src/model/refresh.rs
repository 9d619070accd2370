//! When a credential should be fetched anew, while it is still good.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// How long before its end a credential with this lifetime should be fetched
/// anew.
///
/// `asked` is the caller's own figure, taken as it is up to the whole lifetime.
/// Without it: 5 minutes for a lifetime of up to 20, 15 minutes below 90, else
/// an hour; never more than half the lifetime; and up to 10 % more, by
/// `jitter`, so that credentials put together aren't fetched together.
pub(crate) fn lead(lifetime: Duration, asked: Option<Duration>, jitter: u8) -> Duration {
    if let Some(asked) = asked {
        return asked.min(lifetime);
    }
    let by_lifetime = if lifetime <= 20 * MINUTE {
        5 * MINUTE
    } else if lifetime < 90 * MINUTE {
        15 * MINUTE
    } else {
        60 * MINUTE
    };
    // Short of half by what the jitter may add: it never crosses the middle,
    // and short lifetimes are spread like long ones.
    let least = by_lifetime.min(lifetime * 10 / 22);
    least + least / 10 * u32::from(jitter) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_lead_follows_the_lifetime() {
        assert_eq!(lead(20 * MINUTE, None, 0), 5 * MINUTE);
        assert_eq!(lead(60 * MINUTE, None, 0), 15 * MINUTE);
        assert_eq!(lead(89 * MINUTE, None, 0), 15 * MINUTE);
        assert_eq!(lead(150 * MINUTE, None, 0), 60 * MINUTE);
        assert_eq!(lead(720 * MINUTE, None, 0), 60 * MINUTE);
        assert_eq!(lead(720 * MINUTE, None, u8::MAX), 66 * MINUTE);
    }

    #[test]
    fn default_lead_never_exceeds_half_the_lifetime() {
        for lifetime in [1, 2, 999, 60_000, 1_200_000, 5_400_000, 43_200_000] {
            let lifetime = Duration::from_millis(lifetime);
            for jitter in [0, 1, 128, u8::MAX] {
                assert!(
                    lead(lifetime, None, jitter) <= lifetime / 2,
                    "{lifetime:?} {jitter}"
                );
            }
        }
    }

    #[test]
    fn callers_own_lead_is_taken_up_to_the_lifetime() {
        assert_eq!(lead(MINUTE, Some(Duration::ZERO), 255), Duration::ZERO);
        assert_eq!(lead(MINUTE, Some(MINUTE / 2), 255), MINUTE / 2);
        assert_eq!(lead(MINUTE, Some(5 * MINUTE), 255), MINUTE);
    }
}
