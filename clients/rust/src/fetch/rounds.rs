//! How a call gets from the question to a credential: by asking the server,
//! waiting for somebody else's fetch, or fetching.
//!
//! Every round ends with a credential, an error, a longer wait at the server, or
//! a fetch that brought nothing to keep; of those there are a few, and all of it
//! ends at the call's deadline.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout_at},
};

use super::{
    FetchError, FetchOptions, Fetched, GetOrFetchError, OnOutage,
    flight::{Flight, Landing},
    flights::{Outcome, Part, Seat},
};
use crate::{
    Answer, Client, Credential, Error, GetOptions, Lease, Lookup, Miss, MissReason, near::Space,
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
pub(crate) struct Call<'a, F> {
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
}

/// What a round of the call comes to.
enum Round<E> {
    Done(Arc<Credential>),
    Failed(GetOrFetchError<E>),
    /// Somebody else is fetching.
    Pending(Option<Duration>),
    /// A fetch brought what mustn't be used.
    Void,
    /// A fetch brought what somebody else may have replaced already.
    Late(Arc<Credential>),
}

impl<'a, F, Fut, E> Call<'a, F>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Fetched, FetchError<E>>> + Send + 'static,
    E: Send + 'static,
{
    pub(crate) fn new(
        client: &Client,
        namespace: &'a str,
        key: &'a str,
        options: FetchOptions,
        fetch: F,
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
        }
    }

    pub(crate) async fn run(self) -> Result<Arc<Credential>, GetOrFetchError<E>> {
        let mut wait = Duration::ZERO;
        let mut fetches = 0;
        let mut late = None;
        let mut pending = None;
        while !self.left().is_zero() && fetches < MOST_FETCHES {
            let asked = Instant::now();
            let round = match self.ask(wait).await {
                Ok(answer) => self.answered(answer).await,
                Err(error) if is_crowded(&error) => self.fetch_unleased(false).await,
                // It was the call's own end that cut the wait short.
                Err(Error::DeadlineExceeded) if self.left().is_zero() => break,
                Err(error) if error.is_outage() => match (late.take(), self.options.on_outage) {
                    (Some(credential), _) => Round::Done(credential),
                    (None, OnOutage::Fail) => Round::Failed(error.into()),
                    (None, OnOutage::Fetch) => self.fetch_unleased(true).await,
                },
                Err(error) => Round::Failed(error.into()),
            };
            match round {
                Round::Done(credential) => return Ok(credential),
                Round::Failed(error) => return late.ok_or(error),
                Round::Pending(retry_after) => {
                    if late.is_some() && !wait.is_zero() {
                        break;
                    }
                    pending = Some(retry_after);
                    // The first question is brief, for a server that is there
                    // answers it at once. Only then is it asked to wait.
                    if asked.elapsed() < wait / 2 {
                        self.pause(retry_after).await;
                    }
                    if self.left() <= self.margin() {
                        break;
                    }
                    wait = WAIT;
                    continue;
                }
                Round::Void => late = None,
                Round::Late(credential) => late = Some(credential),
            }
            pending = None;
            wait = Duration::ZERO;
            fetches += 1;
        }
        match (late, pending) {
            (Some(credential), _) => Ok(credential),
            (None, Some(retry_after)) => Err(GetOrFetchError::Pending { retry_after }),
            (None, None) if fetches > 0 => Err(GetOrFetchError::Revoked),
            (None, None) => Err(GetOrFetchError::TimedOut),
        }
    }

    async fn ask(&self, wait: Duration) -> Result<Answer<Arc<Credential>>, Error> {
        let left = self.left();
        let wait = wait.min(left.saturating_sub(self.margin()));
        let options = GetOptions {
            min_ttl: self.options.min_ttl,
            acquire_lease: true,
            wait: (!wait.is_zero()).then_some(wait),
            lease_ttl: None,
        };
        let fill = self.near.map(|near| near.begin(self.key));
        let client = self.client.with_timeout(self.patience.min(left - wait));
        let answer = client.lookup(self.namespace, self.key, options).await?;
        let answer = answer.map(Arc::new);
        if let (Some(fill), Lookup::Hit(credential)) = (fill, &answer.lookup) {
            fill.end(credential);
        }
        Ok(answer)
    }

    async fn answered(&self, answer: Answer<Arc<Credential>>) -> Round<E> {
        match (answer.lookup, answer.lease) {
            (Lookup::Hit(credential), None) => Round::Done(credential),
            (Lookup::Hit(credential), Some(lease)) => {
                // It is good for as long as it lasts; the next one is fetched
                // behind this caller's back.
                drop(self.flight(lease).spawn());
                Round::Done(credential)
            }
            (Lookup::Miss(_), Some(lease)) => self.land(self.flight(lease).spawn()).await,
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

    /// Fetches for the whole mesh.
    fn flight(&self, lease: Lease) -> Flight<F> {
        // If another fetch of this process has the place, this one goes without:
        // the lease's word counts, and it is the later one.
        let entry = match self.client.flights.enter(self.namespace, self.key) {
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
    async fn fetch_unleased(&self, outage: bool) -> Round<E> {
        let entry = match self.client.flights.enter(self.namespace, self.key) {
            Part::Lead(entry) => entry,
            Part::Follow(seat) => return self.follow(seat).await,
            Part::Alone => {
                let (report, landing) = oneshot::channel();
                let flight = self.unleased(outage).run(report);
                return match timeout_at(self.deadline, flight).await {
                    Ok(()) => self.land(landing).await,
                    Err(_) => Round::Failed(GetOrFetchError::TimedOut),
                };
            }
        };
        let flight = Flight {
            entry: Some(entry),
            ..self.unleased(outage)
        };
        self.land(flight.spawn()).await
    }

    fn unleased(&self, outage: bool) -> Flight<F> {
        Flight {
            client: self.client.clone(),
            namespace: self.namespace.to_owned(),
            key: self.key.to_owned(),
            fetch: Arc::clone(&self.fetch),
            limit: self.options.fetch_timeout,
            lease: None,
            entry: None,
            outage,
        }
    }

    async fn land(&self, landing: oneshot::Receiver<Landing<E>>) -> Round<E> {
        match timeout_at(self.deadline, landing).await {
            Ok(Ok(Landing::Ready(credential))) => Round::Done(credential),
            Ok(Ok(Landing::LeaseLost(credential))) => Round::Late(credential),
            Ok(Ok(Landing::Revoked)) => Round::Void,
            Ok(Ok(Landing::Failed(error))) => Round::Failed(GetOrFetchError::Fetch(error)),
            Ok(Ok(Landing::Refused(error))) => Round::Failed(error.into()),
            Ok(Ok(Landing::TimedOut)) | Err(_) => Round::Failed(GetOrFetchError::TimedOut),
            Ok(Err(_)) => Round::Failed(GetOrFetchError::Panicked),
        }
    }

    async fn follow(&self, mut seat: Seat) -> Round<E> {
        match timeout_at(self.deadline, seat.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => match &*outcome {
                Some(Outcome::Ready(credential)) => Round::Done(Arc::clone(credential)),
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

/// The server is there, but has no room for another lease or namespace.
fn is_crowded(error: &Error) -> bool {
    matches!(
        error.reason(),
        Some("TOO_MANY_LEASES" | "TOO_MANY_NAMESPACES")
    )
}
