//! When a call is retried, and when it ends.
//!
//! A call is retried only while the server is unavailable, a bounded number of times,
//! and never past its deadline. The backoff is exponential with full jitter, so that a
//! fleet whose server restarts doesn't come back all at once.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Error, error::Fate};

/// How often a call is attempted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    /// Attempts in all; at least 1.
    pub(crate) attempts: u32,
}

/// How often the server may execute one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Any number of times: the call changes nothing.
    Read,
    /// Once or more: a second time has the same effect.
    AtLeastOnce,
    /// Once or not at all: a second time could undo what others did meanwhile.
    AtMostOnce,
}

impl Delivery {
    fn allows_another_after(self, error: &Error) -> bool {
        match error.unavailable() {
            Some(Fate::NotCarriedOut) => true,
            Some(Fate::Unknown) => self != Self::AtMostOnce,
            None => false,
        }
    }
}

/// The longest timeout of a call: within the range of grpc-timeout and of the
/// runtime's timers.
pub(crate) const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Retry {
    /// One retry at most: for a caller who can do without the server.
    pub(crate) fn once_more(self) -> Self {
        Self {
            attempts: self.attempts.min(2),
        }
    }

    /// Makes attempts until an answer, an error after which `delivery` allows no other
    /// attempt, or the end of `timeout`. Each attempt gets the time that is left.
    ///
    /// The error never claims that nothing was executed if the fate of one of the
    /// attempts isn't known: a refusal says so then.
    pub(crate) async fn run<T, Try: Future<Output = Result<T, Error>>>(
        self,
        delivery: Delivery,
        timeout: Duration,
        mut attempt: impl FnMut(Duration) -> Try,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut failure = Error::DeadlineExceeded;
        let mut asked_for = None;
        for number in 0..self.attempts {
            if number > 0 {
                let pause = pause(number, asked_for, fastrand::f64());
                if pause >= left() {
                    break;
                }
                sleep(pause).await;
            }
            // The first attempt has all of it: a time that is the same for each call takes
            // a byte of a message, as the connection remembers it.
            let left = if number == 0 { timeout } else { left() };
            let error = match timeout_at(deadline, attempt(left)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => Error::DeadlineExceeded,
            };
            if !delivery.allows_another_after(&error) {
                let lost = failure.unavailable() == Some(Fate::Unknown);
                return Err(match delivery {
                    Delivery::AtLeastOnce if lost => error.after_a_lost_attempt(),
                    _ => error,
                });
            }
            asked_for = error.retry_after();
            if failure.unavailable() != Some(Fate::Unknown) {
                failure = error;
            }
        }
        Err(failure)
    }
}

/// The pause before attempt `number` (≥ 1): a random part of the exponential bound, on
/// top of what the server asks for. `random` is from 0 to 1.
pub(crate) fn pause(number: u32, asked_for: Option<Duration>, random: f64) -> Duration {
    let doublings = number.saturating_sub(1).min(31);
    let bound = FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE);
    bound
        .mul_f64(random)
        .saturating_add(asked_for.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn unavailable() -> Error {
        let details = ErrorDetails::with_error_info("DRAINING", "credcache", []);
        Status::with_error_details(Code::Unavailable, "draining", details).into()
    }

    fn disconnected() -> Error {
        Error::Disconnected("reset".into())
    }

    #[test]
    fn pause_is_spread_over_a_bound_that_doubles_up_to_a_limit() {
        for (number, bound) in [
            (1, 50),
            (2, 100),
            (3, 200),
            (6, 1600),
            (7, 2000),
            (u32::MAX, 2000),
        ] {
            assert_eq!(pause(number, None, 0.0), Duration::ZERO);
            assert_eq!(pause(number, None, 1.0), Duration::from_millis(bound));
        }
        assert_eq!(pause(1, Some(SECOND), 1.0), Duration::from_millis(1050));
        assert_eq!(pause(1, Some(Duration::MAX), 1.0), Duration::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn transient_failure_is_retried_until_it_passes() {
        let mut seen = Vec::new();
        let answer = Retry { attempts: 4 }
            .run(Delivery::AtMostOnce, SECOND * 60, |left| {
                seen.push(left);
                ready(if seen.len() < 3 {
                    Err(unavailable())
                } else {
                    Ok("answer")
                })
            })
            .await;
        assert_eq!(answer.unwrap(), "answer");
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[0], SECOND * 60);
        let pauses = seen[0] - seen[2];
        assert!(pauses <= Duration::from_millis(160), "{seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_bounded() {
        let mut calls = 0;
        let failed = Retry { attempts: 3 }
            .run(Delivery::AtMostOnce, SECOND * 60, |_| {
                calls += 1;
                ready(Err::<(), _>(unavailable()))
            })
            .await;
        assert!(
            matches!(failed, Err(Error::Refused(refusal)) if refusal.code == Code::Unavailable)
        );
        assert_eq!(calls, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_of_unknown_fate_is_repeated_only_where_twice_is_as_good_as_once() {
        for (delivery, attempts) in [
            (Delivery::Read, 3),
            (Delivery::AtLeastOnce, 3),
            (Delivery::AtMostOnce, 1),
        ] {
            let mut calls = 0;
            let failed = Retry { attempts: 3 }
                .run(delivery, SECOND * 60, |_| {
                    calls += 1;
                    ready(Err::<(), _>(disconnected()))
                })
                .await;
            assert!(matches!(failed, Err(Error::Disconnected(_))));
            assert_eq!(calls, attempts, "{delivery:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_retry_cannot_help_is_answered_at_once() {
        let mut calls = 0;
        let failed = Retry { attempts: 3 }
            .run(Delivery::AtMostOnce, SECOND, |_| {
                calls += 1;
                ready(Err::<(), _>(Status::aborted("the version differs").into()))
            })
            .await;
        assert!(matches!(failed, Err(Error::Refused(refusal)) if refusal.code == Code::Aborted));
        assert_eq!(calls, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn wait_that_would_outlast_the_deadline_is_not_begun() {
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(SECOND * 10));
        let status = Status::with_error_details(Code::Unavailable, "draining", details);
        let begun = Instant::now();
        let failed = Retry { attempts: 3 }
            .run(Delivery::AtMostOnce, SECOND * 5, |_| {
                ready(Err::<(), _>(status.clone().into()))
            })
            .await;
        assert_eq!(failed.unwrap_err().retry_after(), Some(SECOND * 10));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_the_deadline() {
        let begun = Instant::now();
        let failed = Retry { attempts: 3 }.run(Delivery::AtMostOnce, SECOND, |_| {
            std::future::pending::<Result<(), _>>()
        });
        assert!(matches!(failed.await, Err(Error::DeadlineExceeded)));
        assert!(begun.elapsed() >= SECOND && begun.elapsed() < SECOND * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_after_a_refusal_is_no_refusal() {
        let mut calls = 0;
        let failed = Retry { attempts: 3 }
            .run(Delivery::AtMostOnce, SECOND, |_| {
                calls += 1;
                let first = calls == 1;
                async move {
                    if first {
                        return Err::<(), _>(unavailable());
                    }
                    std::future::pending().await
                }
            })
            .await;
        assert!(matches!(failed, Err(Error::DeadlineExceeded)));
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_after_a_broken_connection_does_not_hide_it() {
        let mut calls = 0;
        let failed = Retry { attempts: 2 }
            .run(Delivery::AtLeastOnce, SECOND * 60, |_| {
                calls += 1;
                ready(Err::<(), _>(match calls {
                    1 => disconnected(),
                    _ => unavailable(),
                }))
            })
            .await;
        assert!(matches!(failed, Err(Error::Disconnected(_))));
        assert_eq!(calls, 2);
    }

    // Found when a revocation whose answer was lost, and whose next attempt was
    // refused, was said not to have been carried out.
    #[tokio::test(start_paused = true)]
    async fn refusal_after_an_attempt_of_unknown_fate_does_not_claim_that_nothing_happened() {
        for (delivery, told) in [(Delivery::AtLeastOnce, true), (Delivery::Read, false)] {
            let mut calls = 0;
            let failed = Retry { attempts: 3 }
                .run(delivery, SECOND * 60, |_| {
                    calls += 1;
                    ready(Err::<(), _>(match calls {
                        1 => disconnected(),
                        2 => unavailable(),
                        _ => Status::resource_exhausted("too many").into(),
                    }))
                })
                .await;
            let Err(Error::Refused(refusal)) = failed else {
                panic!("{failed:?}")
            };
            assert_eq!(refusal.earlier_attempt_lost, told, "{delivery:?}");
            assert_eq!(refusal.to_string().contains("may have been"), told);
        }
        let refused = Retry { attempts: 3 }.run(Delivery::AtLeastOnce, SECOND, |_| {
            ready(Err::<(), _>(Status::aborted("the version differs").into()))
        });
        let Err(Error::Refused(refusal)) = refused.await else {
            panic!("it is refused")
        };
        assert!(!refusal.earlier_attempt_lost);
    }
}
