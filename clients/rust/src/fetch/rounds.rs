//! How a call gets from the question to a credential: by asking the server,
//! waiting for somebody else's fetch, or fetching.
//!
//! Every round ends with a credential, an error, a longer wait at the server, or
//! a fetch that brought nothing to keep; of those there are a few, and all of it
//! ends at the call's deadline.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot::{self, error::RecvError},
    time::{Instant, sleep, timeout_at},
};

use super::{
    FetchFailure, FetchOptions, Fetched, GetOrFetchError, LEASE_TTL, OnOutage,
    breaker::Way,
    flight::{Flight, Landing},
    flights::{Outcome, Part, Seat},
};
use crate::{
    Answer, Client, Credential, Error, GetOptions, Lease, Lookup, Measured, Miss, MissReason,
    judged::Unjudged, near::Space,
};

/// How many fetches in vain before the call gives up.
const MOST_FETCHES: u32 = 3;
/// The longest that one Get waits at the server. A server that falls silent
/// meanwhile isn't noticed before, so a long wait is divided.
const WAIT: Duration = Duration::from_secs(2);
/// The most that a server without an answer may cost unless the caller says
/// otherwise, as a part of the call's timeout and in all.
const PATIENCE_PART: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(2);
/// Bounds of the pause after a server had no room for one more to wait.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// One call of `get_or_fetch`.
pub(crate) struct Call<'a, F, B> {
    /// Asks without much patience.
    client: Client,
    namespace: &'a str,
    key: &'a str,
    options: FetchOptions,
    fetch: Arc<F>,
    /// Where the server's answers are kept, if anywhere.
    near: Option<&'a Space>,
    deadline: Instant,
    patience: Duration,
    /// Begins a fetch: in a task of its own, or, when it is waited for, in place.
    begin: B,
    place: Place,
}

/// Where a fetch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a task: neither the deadline nor the end of the caller ends it.
    OwnTask,
    /// Within the caller's own future, where it may borrow, and ended with it.
    Caller,
}

type Shared = Unjudged<Arc<Credential>>;

/// What a round of the call comes to.
enum Round<E> {
    /// A credential, and what must be left of it at least.
    Done(Shared, Duration),
    Failed(GetOrFetchError<E>),
    /// Somebody else is fetching.
    Pending(Option<Duration>),
    /// A fetch brought what mustn't be used.
    Void,
    /// A fetch brought what somebody else may have replaced already.
    Late(Shared),
    /// It was the call's own end that cut the wait short.
    OutOfTime,
}

/// What earlier rounds of a call left.
struct Past {
    wait: Duration,
    fetches: u32,
    late: Option<Shared>,
    pending: Option<Option<Duration>>,
    ended: bool,
}

impl<'a, F, B> Call<'a, F, B> {
    pub(crate) fn new(
        client: &Client,
        (namespace, key): (&'a str, &'a str),
        options: FetchOptions,
        fetch: F,
        (place, begin): (Place, B),
        near: Option<&'a Space>,
    ) -> Self {
        let timeout = options.timeout.unwrap_or(client.timeout);
        let patience = options
            .patience
            .unwrap_or(PATIENCE.min(timeout / PATIENCE_PART));
        let mut client = client.with_timeout(patience);
        client.retry = client.retry.once_more();
        Self {
            client,
            namespace,
            key,
            options,
            fetch: Arc::new(fetch),
            near,
            deadline: Instant::now() + timeout,
            patience,
            begin,
            place,
        }
    }
}

impl<F, Fut, X, B, L> Call<'_, F, B>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Fetched, X>>,
    X: FetchFailure,
    B: Fn(Flight<F>) -> L,
    L: Future<Output = Result<Landing<X::Error>, RecvError>>,
{
    pub(crate) async fn run(self) -> Result<Arc<Credential>, GetOrFetchError<X::Error>> {
        let mut past = Past {
            wait: Duration::ZERO,
            fetches: 0,
            late: None,
            pending: None,
            ended: false,
        };
        while !self.left().is_zero() && past.fetches < MOST_FETCHES {
            let asked = Instant::now();
            match self.round(&mut past).await {
                Round::Done(credential, least_left) => match credential.judge(least_left) {
                    Ok(credential) => return Ok(credential),
                    Err(_) => past.ended = true,
                },
                Round::Failed(error) => {
                    let late = past.late.and_then(|late| late.judge(Duration::ZERO).ok());
                    return late.ok_or(error);
                }
                Round::Pending(retry_after) => {
                    if past.late.is_some() && !past.wait.is_zero() {
                        break;
                    }
                    past.pending = Some(retry_after);
                    // The first question is brief, for a server that is there
                    // answers it at once. Only then is it asked to wait.
                    if asked.elapsed() < past.wait / 2 {
                        self.pause(retry_after).await;
                    }
                    if self.left() <= self.margin() {
                        break;
                    }
                    past.wait = WAIT;
                    continue;
                }
                Round::OutOfTime => break,
                Round::Void => past.late = None,
                Round::Late(credential) => past.late = Some(credential),
            }
            past.pending = None;
            past.wait = Duration::ZERO;
            past.fetches += 1;
        }
        past.outcome()
    }

    async fn round(&self, past: &mut Past) -> Round<X::Error> {
        let breaker = &self.client.fetches.breaker;
        if let Way::Around(probe) = breaker.way(Instant::now()) {
            if let Some(probe) = probe {
                self.client.find_out(probe, self.namespace, self.key);
            }
            return self.do_without(past, Error::away()).await;
        }
        let asked = Instant::now();
        let answer = self.ask(past.wait).await;
        let now = Instant::now();
        match answer {
            Ok(answer) => {
                self.client.server_answered(now);
                let kept = &self.client.fetches.kept;
                kept.forget(self.namespace, self.key);
                self.answered(answer).await
            }
            Err(error) if is_crowded(&error) => {
                self.client.server_answered(now);
                self.fetch_unleased(false).await
            }
            Err(Error::DeadlineExceeded) if self.left().is_zero() => Round::OutOfTime,
            Err(error) if error.is_outage() => {
                // Less time than a server gets to answer proves nothing.
                if error.met_no_server()
                    && (!matches!(error, Error::DeadlineExceeded)
                        || now.saturating_duration_since(asked) >= self.patience)
                    && breaker.failed(asked, now)
                {
                    self.client.metrics.record(Measured::Away);
                }
                self.do_without(past, error).await
            }
            Err(error) => Round::Failed(error.into()),
        }
    }

    async fn ask(&self, wait: Duration) -> Result<Answer<Shared>, Error> {
        let left = self.left();
        let wait = wait.min(left.saturating_sub(self.margin()));
        let options = GetOptions {
            min_ttl: self.options.min_ttl,
            acquire_lease: true,
            wait: (!wait.is_zero()).then_some(wait),
            lease_ttl: Some(LEASE_TTL),
        };
        let fill = self.near.map(|near| near.begin(self.key));
        let client = self.client.with_timeout(self.patience.min(left - wait));
        let answer = client.ask(self.namespace, self.key, options).await?;
        let answer = answer.map(|credential| credential.map(Arc::new));
        if let (Some(fill), Lookup::Hit(credential)) = (fill, &answer.lookup) {
            fill.end(credential.inner());
        }
        Ok(answer)
    }

    async fn answered(&self, answer: Answer<Shared>) -> Round<X::Error> {
        let least_left = self.options.least_left();
        match (answer.lookup, answer.lease) {
            (Lookup::Hit(credential), None) => Round::Done(credential, least_left),
            (Lookup::Hit(credential), Some(lease)) if !credential.is_late(least_left) => {
                // It is good for as long as it lasts; the next one is fetched
                // behind this caller's back, if that can be.
                if self.place == Place::OwnTask {
                    drop((self.begin)(self.flight(lease)));
                    return Round::Done(credential, least_left);
                }
                match self.fetched(self.flight(lease)).await {
                    Round::Done(next, _) => Round::Done(next, Duration::ZERO),
                    Round::Void => Round::Void,
                    _ => Round::Done(credential, least_left),
                }
            }
            (_, Some(lease)) => self.fetched(self.flight(lease)).await,
            (Lookup::Miss(miss), None) => match miss {
                Miss {
                    reason: MissReason::Pending,
                    retry_after,
                } => Round::Pending(retry_after),
                Miss {
                    retry_after: Some(retry_after),
                    ..
                } => Round::Failed(GetOrFetchError::Closed { retry_after }),
                // A server that grants no lease, and doesn't say until when.
                Miss { .. } => self.fetch_unleased(false).await,
            },
        }
    }

    /// The server is away.
    async fn do_without(&self, past: &mut Past, error: Error) -> Round<X::Error> {
        if let Some(late) = past.late.take() {
            return Round::Done(late, Duration::ZERO);
        }
        if self.options.on_outage == OnOutage::Fail {
            return Round::Failed(error.into());
        }
        let least_left = self.options.least_left();
        let kept = &self.client.fetches.kept;
        match kept.get(self.namespace, self.key) {
            Some(credential) if !credential.is_late(least_left) => {
                self.client.metrics.record(Measured::KeptHit);
                Round::Done(credential, least_left)
            }
            _ => self.fetch_unleased(true).await,
        }
    }

    /// Fetches for the whole mesh.
    fn flight(&self, lease: Lease) -> Flight<F> {
        // If another fetch of this process has the place, this one goes without:
        // the lease's word counts, and it is the later one.
        let flights = &self.client.fetches.flights;
        let entry = match flights.enter(self.namespace, self.key) {
            Part::Lead(entry) => Some(entry),
            Part::Follow(_) | Part::Alone => None,
        };
        Flight {
            lease: Some(lease),
            entry,
            ..self.unleased(false)
        }
    }

    /// Fetches for this process alone, or waits for the one who does.
    async fn fetch_unleased(&self, outage: bool) -> Round<X::Error> {
        let flights = &self.client.fetches.flights;
        let entry = match flights.enter(self.namespace, self.key) {
            Part::Lead(entry) => entry,
            Part::Follow(seat) => return self.follow(seat).await,
            Part::Alone => {
                let (report, landing) = oneshot::channel();
                let flight = self.unleased(outage).run(report);
                return match timeout_at(self.deadline, flight).await {
                    Ok(()) => self.land(landing.await.ok()),
                    Err(_) => self.land(Some(Landing::TimedOut)),
                };
            }
        };
        let flight = Flight {
            entry: Some(entry),
            ..self.unleased(outage)
        };
        self.fetched(flight).await
    }

    fn unleased(&self, outage: bool) -> Flight<F> {
        Flight {
            client: self.client.clone(),
            namespace: self.namespace.to_owned(),
            key: self.key.to_owned(),
            fetch: Arc::clone(&self.fetch),
            limit: self.options.fetch_timeout,
            keep: self.options.keep_in_outage,
            lease: None,
            entry: None,
            outage,
        }
    }

    async fn fetched(&self, flight: Flight<F>) -> Round<X::Error> {
        match timeout_at(self.deadline, (self.begin)(flight)).await {
            Ok(landing) => self.land(landing.ok()),
            Err(_) => self.land(Some(Landing::TimedOut)),
        }
    }

    /// `None` if the fetch panicked.
    fn land(&self, landing: Option<Landing<X::Error>>) -> Round<X::Error> {
        match landing {
            Some(Landing::Ready(credential)) => Round::Done(credential, Duration::ZERO),
            Some(Landing::LeaseLost(credential)) => Round::Late(credential),
            Some(Landing::Revoked) => Round::Void,
            Some(Landing::Ended) => Round::Failed(GetOrFetchError::IssuedEnded),
            Some(Landing::Failed(error)) => Round::Failed(GetOrFetchError::Fetch(error)),
            Some(Landing::Refused(error)) => Round::Failed(error.into()),
            Some(Landing::TimedOut) => Round::Failed(GetOrFetchError::TimedOut),
            None => Round::Failed(GetOrFetchError::Panicked),
        }
    }

    async fn follow(&self, mut seat: Seat) -> Round<X::Error> {
        match timeout_at(self.deadline, seat.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => match &*outcome {
                Some(Outcome::Ready(credential)) => Round::Done(credential.clone(), Duration::ZERO),
                Some(Outcome::Closed(until)) => Round::Failed(GetOrFetchError::Closed {
                    retry_after: until.saturating_duration_since(Instant::now()),
                }),
                None => Round::Void,
            },
            Ok(Err(_)) => Round::Void,
            Err(_) => Round::Pending(None),
        }
    }

    /// What a server that answers needs for that, after it was asked to wait
    /// nearly up to the call's deadline.
    fn margin(&self) -> Duration {
        self.patience / 4
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// For a server that had no room for one more to wait.
    async fn pause(&self, asked_for: Option<Duration>) {
        let bound = asked_for
            .unwrap_or_default()
            .clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let pause = bound.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        sleep(pause.min(self.left())).await;
    }
}

impl Past {
    /// What is answered when the time, or the fetches, are used up.
    fn outcome<E>(self) -> Result<Arc<Credential>, GetOrFetchError<E>> {
        if let Some(late) = self.late {
            let late = late.judge(Duration::ZERO);
            return late.map_err(|_| GetOrFetchError::Ended);
        }
        Err(match self.pending {
            Some(retry_after) => GetOrFetchError::Pending { retry_after },
            None if self.ended => GetOrFetchError::Ended,
            None if self.fetches > 0 => GetOrFetchError::Revoked,
            None => GetOrFetchError::TimedOut,
        })
    }
}

/// The server is there, but has no room for another lease or namespace.
fn is_crowded(error: &Error) -> bool {
    matches!(
        error.reason(),
        Some("TOO_MANY_LEASES" | "TOO_MANY_NAMESPACES")
    )
}
