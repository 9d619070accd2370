//! One call of `get_or_fetch`, as a state machine.
//!
//! | state | what the call does | next |
//! |---|---|---|
//! | *ask* | sends one Get that asks for the lease | a hit: end; a lease: *fetch*; another caller fetches: *wait*; no room for a lease: *fetch alone*; no server: *outage*; a cool-down or a refusal: end |
//! | *wait* | sends the same Get, to wait up to 2 s at the server | as *ask* |
//! | *fetch* | runs the fetch under the lease, and stores the credential | stored or failed: end; revoked, expired or the lease lost: *ask*, with the credential of a lost lease as a fallback |
//! | *fetch alone* | runs the fetch for this process, or follows the call that runs it | as *fetch* |
//! | *outage* | looks for the fallback, then into the outage cache | found, or [`OnOutage::Fail`]: end; otherwise *fetch alone* |
//!
//! Each pass through the table is one [`step`](GetOrFetchCall::step), and ends in a
//! [`Step`]. A call ends at its deadline too, and after three fetches without a
//! credential to return.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot::{self, error::RecvError},
    time::{Instant, sleep, timeout_at},
};

use super::{
    breaker::{Probe, Route},
    failure::{FetchFailure, GetOrFetchError},
    fetched::Fetched,
    inflight::{FetchReceiver, LeaderEntry, Role},
    job::{FetchJob, LEASE_TTL},
    options::{FetchOptions, OnOutage},
    progress::Progress,
    source::Source,
    step::Step,
};
use crate::{
    Client, Credential, Error,
    judged::SharedCredential,
    lease::Lease,
    lookup::{GetOptions, Lookup, LookupResponse, Miss, MissReason},
    metrics::MetricEvent,
    retry::Retry,
};

/// The most fetches of one call.
const MAX_FETCHES: u32 = 3;
/// The longest that one Get waits at the server. A server that falls silent during
/// the wait isn't noticed before its end, so a longer wait is divided.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The default server timeout: a part of the call's timeout, up to a limit.
const SERVER_TIMEOUT_DIVISOR: u32 = 4;
const MAX_SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// Bounds of the pause after a server had no room for one more to wait.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// One call of `get_or_fetch`.
pub(crate) struct GetOrFetchCall<'a, F, B, S> {
    /// The caller's client with the server timeout for its timeout, and one retry at
    /// most: the call can do without the server.
    client: Client,
    namespace: &'a str,
    key: &'a str,
    options: FetchOptions,
    fetch: Arc<F>,
    /// Where the key is looked up.
    source: &'a S,
    deadline: Instant,
    server_timeout: Duration,
    /// Begins a fetch.
    begin: B,
    execution: Execution,
}

/// Where a fetch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Execution {
    /// In a task: neither the deadline nor the end of the caller ends it.
    OwnTask,
    /// Within the caller's own future, where it may borrow, and ended with it.
    InPlace,
}

impl<'a, F, B, S> GetOrFetchCall<'a, F, B, S> {
    pub(crate) fn new(
        client: &Client,
        (namespace, key): (&'a str, &'a str),
        options: FetchOptions,
        fetch: F,
        (execution, begin): (Execution, B),
        source: &'a S,
    ) -> Self {
        let timeout = options.timeout.unwrap_or(client.timeout);
        let server_timeout = options
            .server_timeout
            .unwrap_or(MAX_SERVER_TIMEOUT.min(timeout / SERVER_TIMEOUT_DIVISOR));
        let mut client = client.with_timeout(server_timeout);
        client.retry = client.retry.once_more();
        Self {
            client,
            namespace,
            key,
            options,
            fetch: Arc::new(fetch),
            source,
            deadline: Instant::now() + timeout,
            server_timeout,
            begin,
            execution,
        }
    }
}

impl<F, Fut, X, B, L, S> GetOrFetchCall<'_, F, B, S>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Fetched, X>>,
    X: FetchFailure,
    B: Fn(FetchJob<F>) -> L,
    L: Future<Output = Result<Step<X::Error>, RecvError>>,
    S: Source,
{
    pub(crate) async fn run(self) -> Result<Arc<Credential>, GetOrFetchError<X::Error>> {
        let mut progress = Progress::default();
        while !self.left().is_zero() && progress.fetches < MAX_FETCHES {
            let asked = Instant::now();
            match self.step(&mut progress).await {
                Step::Done(credential, min_ttl) => match credential.judge(min_ttl) {
                    Ok(credential) => return Ok(credential),
                    Err(_) => progress.expired = true,
                },
                Step::Failed(error) => {
                    let fallback = progress.fallback;
                    let fallback =
                        fallback.and_then(|fallback| fallback.judge(Duration::ZERO).ok());
                    return fallback.ok_or(error);
                }
                Step::Pending(retry_after) => {
                    if progress.fallback.is_some() && !progress.wait.is_zero() {
                        break;
                    }
                    progress.pending = Some(retry_after);
                    // The first question is brief, because a reachable server answers
                    // it at once. Only the next one asks the server to wait.
                    if asked.elapsed() < progress.wait / 2 {
                        self.pause(retry_after).await;
                    }
                    if self.left() <= self.margin() {
                        break;
                    }
                    progress.wait = LONGEST_WAIT;
                    continue;
                }
                Step::OutOfTime => break,
                Step::Unusable => progress.fallback = None,
                Step::LeaseLost(credential) => progress.fallback = Some(credential),
            }
            progress.pending = None;
            progress.wait = Duration::ZERO;
            progress.fetches += 1;
        }
        progress.result()
    }

    /// One step, from the question to the server on.
    async fn step(&self, progress: &mut Progress) -> Step<X::Error> {
        let breaker = &self.client.fetch_state.breaker;
        if let Route::Around(probe) = breaker.route(Instant::now()) {
            if let Some(probe) = probe {
                self.probe(probe);
            }
            return self.outage(progress, Error::known_unreachable()).await;
        }
        let asked = Instant::now();
        let response = self.ask(progress.wait).await;
        let now = Instant::now();
        match response {
            Ok(response) => {
                record_answer(&self.client, now);
                let outage_cache = &self.client.fetch_state.outage_cache;
                outage_cache.remove(self.namespace, self.key);
                self.answered(response).await
            }
            Err(error) if has_no_room(&error) => {
                record_answer(&self.client, now);
                self.fetch_alone(false).await
            }
            Err(Error::DeadlineExceeded) if self.left().is_zero() => Step::OutOfTime,
            Err(error) if error.is_outage() => {
                // A question that had less than the server timeout proves nothing.
                if error.met_no_server()
                    && (!matches!(error, Error::DeadlineExceeded)
                        || now.saturating_duration_since(asked) >= self.server_timeout)
                    && breaker.record_failure(asked, now)
                {
                    self.client.metrics.record(MetricEvent::CircuitOpened);
                }
                self.outage(progress, error).await
            }
            Err(error) => Step::Failed(error.into()),
        }
    }

    /// The states *ask* and *wait*: one Get that asks for the lease.
    async fn ask(&self, wait: Duration) -> Result<LookupResponse<SharedCredential>, Error> {
        let left = self.left();
        let wait = wait.min(left.saturating_sub(self.margin()));
        let options = GetOptions {
            min_ttl: self.options.min_ttl,
            acquire_lease: true,
            wait: (!wait.is_zero()).then_some(wait),
            lease_ttl: Some(LEASE_TTL),
        };
        let client = self
            .client
            .with_timeout(self.server_timeout.min(left - wait));
        let lookup = self
            .source
            .lookup(&client, self.namespace, self.key, options);
        lookup.await
    }

    async fn answered(&self, response: LookupResponse<SharedCredential>) -> Step<X::Error> {
        let min_ttl = self.options.least_lifetime();
        match (response.lookup, response.lease) {
            (Lookup::Hit(credential), None) => Step::Done(credential, min_ttl),
            (Lookup::Hit(credential), Some(lease)) if !credential.is_late(min_ttl) => {
                // The credential is due for refresh, but still good.
                if self.execution == Execution::OwnTask {
                    drop((self.begin)(self.leased_job(lease)));
                    return Step::Done(credential, min_ttl);
                }
                match self.fetch(self.leased_job(lease)).await {
                    Step::Done(next, _) => Step::fetched(next),
                    Step::Unusable => Step::Unusable,
                    _ => Step::Done(credential, min_ttl),
                }
            }
            (_, Some(lease)) => self.fetch(self.leased_job(lease)).await,
            (Lookup::Miss(miss), None) => match miss {
                Miss {
                    reason: MissReason::Pending,
                    retry_after,
                } => Step::Pending(retry_after),
                Miss {
                    retry_after: Some(retry_after),
                    ..
                } => Step::Failed(GetOrFetchError::CoolDown { retry_after }),
                // A server that grants no lease, and doesn't say until when.
                Miss { .. } => self.fetch_alone(false).await,
            },
        }
    }

    /// The state *outage*.
    async fn outage(&self, progress: &mut Progress, error: Error) -> Step<X::Error> {
        if let Some(fallback) = progress.fallback.take() {
            return Step::fetched(fallback);
        }
        if self.options.on_outage == OnOutage::Fail {
            return Step::Failed(error.into());
        }
        let min_ttl = self.options.least_lifetime();
        let outage_cache = &self.client.fetch_state.outage_cache;
        match outage_cache.get(self.namespace, self.key, self.options.keep_in_outage) {
            Some(credential) if !credential.is_late(min_ttl) => {
                self.client.metrics.record(MetricEvent::OutageCacheHit);
                Step::Done(credential, min_ttl)
            }
            _ => self.fetch_alone(true).await,
        }
    }

    /// The state *fetch*.
    async fn fetch(&self, job: FetchJob<F>) -> Step<X::Error> {
        match timeout_at(self.deadline, (self.begin)(job)).await {
            Ok(step) => step.unwrap_or(Step::Failed(GetOrFetchError::Panicked)),
            Err(_) => Step::Failed(GetOrFetchError::TimedOut),
        }
    }

    /// The state *fetch alone*.
    async fn fetch_alone(&self, outage: bool) -> Step<X::Error> {
        let inflight = &self.client.fetch_state.inflight;
        match inflight.join(self.namespace, self.key) {
            Role::Leader(entry) => self.fetch(self.job(None, Some(entry), outage)).await,
            Role::Follower(receiver) => self.follow(receiver).await,
            // Within this future, so that tasks stay bounded.
            Role::Alone => {
                let (report, step) = oneshot::channel();
                let job = self.job(None, None, outage).run(report);
                match timeout_at(self.deadline, job).await {
                    Ok(()) => step
                        .await
                        .unwrap_or(Step::Failed(GetOrFetchError::Panicked)),
                    Err(_) => Step::Failed(GetOrFetchError::TimedOut),
                }
            }
        }
    }

    /// Waits for another call's fetch in this process.
    async fn follow(&self, mut receiver: FetchReceiver) -> Step<X::Error> {
        match timeout_at(self.deadline, receiver.wait_for(Option::is_some)).await {
            Ok(Ok(result)) => match &*result {
                Some(Ok(credential)) => Step::fetched(credential.clone()),
                Some(Err(cool_down)) => Step::Failed(GetOrFetchError::CoolDown {
                    retry_after: cool_down.left(Instant::now()),
                }),
                None => Step::Unusable,
            },
            Ok(Err(_)) => Step::Unusable,
            Err(_) => Step::Pending(None),
        }
    }

    /// A fetch for the whole mesh.
    fn leased_job(&self, lease: Lease) -> FetchJob<F> {
        // If another fetch of this process is in flight for the key, this one has no
        // entry: the lease decides, and this fetch is the later one.
        let inflight = &self.client.fetch_state.inflight;
        let entry = match inflight.join(self.namespace, self.key) {
            Role::Leader(entry) => Some(entry),
            Role::Follower(_) | Role::Alone => None,
        };
        self.job(Some(lease), entry, false)
    }

    fn job(&self, lease: Option<Lease>, entry: Option<LeaderEntry>, outage: bool) -> FetchJob<F> {
        FetchJob {
            client: self.client.clone(),
            namespace: self.namespace.to_owned(),
            key: self.key.to_owned(),
            fetch: Arc::clone(&self.fetch),
            fetch_timeout: self.options.fetch_timeout,
            keep_in_outage: self.options.keep_in_outage,
            lease,
            entry,
            outage,
        }
    }

    /// Asks in the background whether the server is back.
    fn probe(&self, probe: Probe) {
        let mut client = self.client.clone();
        client.retry = Retry { attempts: 1 };
        let (namespace, key) = (self.namespace.to_owned(), self.key.to_owned());
        tokio::spawn(async move {
            let response = client.ask(&namespace, &key, GetOptions::default()).await;
            let now = Instant::now();
            match response {
                Err(error) if error.met_no_server() => probe.failed(now),
                _ => record_answer(&client, now),
            }
        });
    }

    /// The time that a server needs for its answer after it was asked to wait nearly
    /// up to the call's deadline.
    fn margin(&self) -> Duration {
        self.server_timeout / 4
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Pauses after a server had no room for one more to wait.
    async fn pause(&self, asked_for: Option<Duration>) {
        let bound = asked_for
            .unwrap_or_default()
            .clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let pause = bound.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        sleep(pause.min(self.left())).await;
    }
}

fn record_answer(client: &Client, now: Instant) {
    if client.fetch_state.breaker.record_answer(now) {
        client.metrics.record(MetricEvent::CircuitClosed);
    }
}

/// Whether the server is reachable, but has no room for another lease or namespace.
fn has_no_room(error: &Error) -> bool {
    matches!(
        error.reason(),
        Some("TOO_MANY_LEASES" | "TOO_MANY_NAMESPACES")
    )
}
