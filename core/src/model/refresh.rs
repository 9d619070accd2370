//! When a credential should be refreshed, which is while it is still live.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Returns the refresh lead: how long before its deadline a credential with this lifetime should be
/// refreshed.
///
/// `requested` is the caller's own figure, which is used as it is, but at most the whole lifetime.
/// Without it, the lead is 5 minutes for a lifetime of up to 20 minutes, 15 minutes below 90
/// minutes, and otherwise an hour. It is never more than half the lifetime. `jitter` adds up to 10
/// %, so that credentials that were put together aren't refreshed together.
pub(crate) fn lead(lifetime: Duration, requested: Option<Duration>, jitter: u8) -> Duration {
    if let Some(requested) = requested {
        return requested.min(lifetime);
    }
    let by_lifetime = if lifetime <= 20 * MINUTE {
        5 * MINUTE
    } else if lifetime < 90 * MINUTE {
        15 * MINUTE
    } else {
        60 * MINUTE
    };
    // Limited to half the lifetime less the jitter's share: the lead never exceeds half the
    // lifetime, and short lifetimes are spread like long ones.
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
