//! One fetch, from its beginning to the Put of its credential.
//!
//! In a task of its own the fetch outlives the deadline and the end of its caller.

use std::{
    convert::Infallible,
    future::pending,
    mem,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use tokio::{
    runtime::Handle,
    sync::oneshot::{self, error::RecvError},
    time::{Instant, sleep, timeout},
};

use tonic::Code;

use super::{
    failure::{FetchError, FetchFailure, GetOrFetchError, SOON},
    fetched::Fetched,
    inflight::{CoolDown, LeaderEntry},
    outage_cache::RevocationCount,
    step::Step,
};
use crate::{
    Client, Error,
    clock::{self, BootInstant},
    credential::Credential,
    judged::Unjudged,
    lease::Lease,
    metrics::MetricEvent,
};

/// The lease that a fetch asks for, and that is extended while the fetch runs: the
/// time that a crashed process costs the others.
pub(super) const LEASE_TTL: Duration = Duration::from_secs(3);

/// A fetch that is about to begin.
pub(crate) struct FetchJob<F> {
    /// Its timeout is the server timeout of the call.
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) key: String,
    pub(super) fetch: Arc<F>,
    pub(super) fetch_timeout: Duration,
    pub(super) keep_in_outage: Duration,
    pub(super) lease: Option<Lease>,
    pub(super) entry: Option<LeaderEntry>,
    /// Set while the cache is unreachable: the credential is returned first, and
    /// stored if that can be done.
    pub(super) outage: bool,
}

/// When a fetch began.
struct FetchStart {
    boot: BootInstant,
    /// By the server's wall clock, if that is known.
    wall: SystemTime,
    revocations: RevocationCount,
}

impl<F, Fut, X> FetchJob<F>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Fetched, X>> + Send + 'static,
    X: FetchFailure + 'static,
    X::Error: Send + 'static,
{
    /// Begins the fetch in a task. If the fetch panics, the receiver learns that no
    /// result comes.
    pub(crate) fn spawn(self) -> oneshot::Receiver<Step<X::Error>> {
        let (report, step) = oneshot::channel();
        tokio::spawn(self.run(report));
        step
    }
}

impl<F, Fut, X> FetchJob<F>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Fetched, X>>,
    X: FetchFailure,
{
    /// Runs the fetch within the caller's own future, and ends with it.
    pub(super) async fn in_place(self) -> Result<Step<X::Error>, RecvError> {
        let (report, step) = oneshot::channel();
        self.run(report).await;
        step.await
    }

    pub(super) async fn run(self, report: oneshot::Sender<Step<X::Error>>) {
        let Self {
            client,
            namespace,
            key,
            fetch,
            fetch_timeout,
            keep_in_outage,
            lease,
            entry,
            outage,
        } = self;
        let mut guard = LeaseGuard {
            client,
            namespace,
            key,
            lease,
        };
        let start = guard.start();
        let fetched = guard.extended(timeout(fetch_timeout, fetch())).await;
        let fetched = fetched.map(|fetched| fetched.map_err(X::into_fetch_error));
        let took = BootInstant::now().since(start.boot);
        let (error, retry_after) = match fetched {
            Ok(Ok(fetched)) => match fetched.credential(start.boot) {
                Some(credential) => {
                    guard.client.metrics.record(MetricEvent::Fetched { took });
                    // Without a lease, the instant when the fetch began stands in
                    // for when it was issued: a revocation since then counts.
                    let fetched = match guard.lease {
                        Some(_) => fetched,
                        None => fetched.issued_after(start.wall),
                    };
                    let recipients = Recipients {
                        start,
                        keep_in_outage,
                        entry,
                        report,
                    };
                    return guard.store(fetched, credential, outage, recipients).await;
                }
                None => (GetOrFetchError::IssuedExpired, SOON),
            },
            Ok(Err(FetchError { error, retry_after })) => {
                (GetOrFetchError::Fetch(error), retry_after)
            }
            Err(_) => (GetOrFetchError::TimedOut, SOON),
        };
        guard
            .client
            .metrics
            .record(MetricEvent::FetchFailed { took });
        let retry_after = retry_after.min(LONGEST_COOL_DOWN);
        guard.give_back(Some(retry_after)).await;
        // A caller that waits for what the fetch owns waits no longer.
        drop(fetch);
        if let Some(entry) = entry {
            entry.publish(Err(CoolDown::until(Instant::now() + retry_after)));
            // Callers that can't ask the server find the cool-down until its end.
            tokio::spawn(async move {
                sleep(retry_after).await;
                drop(entry);
            });
        }
        let _ = report.send(Step::Failed(error));
    }
}

/// The shortest pause between two extensions of a lease.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// The longest cool-down that the server grants.
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(300);

/// The callers that a fetched credential goes to.
struct Recipients<E> {
    start: FetchStart,
    keep_in_outage: Duration,
    entry: Option<LeaderEntry>,
    report: oneshot::Sender<Step<E>>,
}

impl<E> Recipients<E> {
    /// Hands the credential to the caller and to the followers. Later callers don't
    /// find the fetch any more, but ask the server.
    fn hand_out(self, credential: Unjudged<Credential>) {
        let credential = credential.map(Arc::new);
        if let Some(entry) = self.entry {
            entry.publish(Ok(credential.clone()));
        }
        let _ = self.report.send(Step::fetched(credential));
    }

    /// Hands the credential out while the cache is unreachable: later callers, who
    /// can't ask the server either, find it in the outage cache.
    fn hand_out_and_keep(self, guard: &LeaseGuard, credential: Unjudged<Credential>) {
        let start = (self.start.boot, self.start.revocations);
        let credential = credential.map(Arc::new);
        let outage_cache = &guard.client.fetch_state.outage_cache;
        let name = (&guard.namespace[..], &guard.key[..]);
        outage_cache.insert(name, &credential, start, self.keep_in_outage);
        if let Some(entry) = self.entry {
            entry.publish(Ok(credential.clone()));
        }
        let _ = self.report.send(Step::fetched(credential));
    }
}

/// A key that is being fetched, and its lease if there is one. Gives the lease back
/// when it is dropped, as it is when the fetch panics or the runtime ends.
struct LeaseGuard {
    client: Client,
    namespace: String,
    key: String,
    lease: Option<Lease>,
}

impl LeaseGuard {
    fn start(&self) -> FetchStart {
        let revocations = self.client.fetch_state.outage_cache.revocations();
        // Read in this order, so that the time in between makes the fetch no younger.
        let wall = clock::wall_now();
        let boot = BootInstant::now();
        let wall = self.client.server_clock.earliest(boot).unwrap_or(wall);
        FetchStart {
            boot,
            wall,
            revocations,
        }
    }

    /// Runs the fetch, and extends the lease while it runs.
    async fn extended<T>(&self, fetch: impl Future<Output = T>) -> T {
        let Some(lease) = &self.lease else {
            return fetch.await;
        };
        tokio::select! {
            biased;
            fetched = fetch => fetched,
            never = self.extend(lease) => match never {},
        }
    }

    async fn extend(&self, lease: &Lease) -> Infallible {
        let client = self.client.with_timeout(self.client.timeout.min(LEASE_TTL));
        let mut lasts = lease.ttl;
        loop {
            sleep((lasts / 3).max(SHORTEST_INTERVAL)).await;
            let extended = client
                .extend_lease(&self.namespace, &self.key, &lease.token, LEASE_TTL)
                .await;
            match extended {
                Ok(ttl) => lasts = ttl,
                // The next extension may arrive in time.
                Err(error) if error.is_outage() => {}
                // The server decides whether the credential may still be stored when
                // it is put.
                Err(_) => return pending().await,
            }
        }
    }

    /// Puts the credential, and hands it out.
    async fn store<E>(
        mut self,
        fetched: Fetched,
        mut credential: Unjudged<Credential>,
        outage: bool,
        recipients: Recipients<E>,
    ) {
        let stated_end = fetched.stated_end();
        let is_empty = fetched.is_empty();
        let mut put = fetched.put(&self.namespace, &self.key, credential.seen());
        if let Some(lease) = &self.lease {
            put = put.lease(lease);
        }
        if outage {
            recipients.hand_out_and_keep(&self, credential);
            if self.client.put(put).await.is_err() {
                self.client.metrics.record(MetricEvent::NotStored);
            }
            return;
        }
        // Storing it takes no more than half of a short lifetime.
        let timeout = self.client.timeout.min(credential.seen().remaining() / 2);
        let error = match self.client.with_timeout(timeout).put(put).await {
            Ok(stored) => {
                self.lease = None;
                credential.inner_mut().was_stored(stored, stated_end);
                recipients.hand_out(credential);
                return;
            }
            Err(error) => error,
        };
        self.client.metrics.record(MetricEvent::NotStored);
        match PutFailure::of(&error) {
            PutFailure::Outage => {
                recipients.hand_out_and_keep(&self, credential);
                self.give_back(None).await;
            }
            // Callers that wait at the server are released at once: each fetches its
            // own credential.
            PutFailure::TooLarge if !is_empty => {
                recipients.hand_out(credential);
                self.give_back(None).await;
            }
            PutFailure::Revoked => {
                self.give_back(None).await;
                let _ = recipients.report.send(Step::Unusable);
            }
            PutFailure::LeaseLost => {
                self.lease = None;
                let credential = credential.map(Arc::new);
                let _ = recipients.report.send(Step::LeaseLost(credential));
            }
            PutFailure::InvalidRequest | PutFailure::TooLarge => {
                self.give_back(Some(SOON)).await;
                let _ = recipients.report.send(Step::Failed(error.into()));
            }
        }
    }

    /// Gives the lease back, if there is one. If the cache can't be reached, the lease
    /// runs out.
    async fn give_back(&mut self, retry_after: Option<Duration>) {
        if let Some(lease) = &self.lease {
            let _ = self
                .client
                .abandon_lease(&self.namespace, &self.key, lease, retry_after)
                .await;
            self.lease = None;
        }
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        let (Some(lease), Ok(runtime)) = (self.lease.take(), Handle::try_current()) else {
            return;
        };
        let client = self.client.clone();
        let namespace = mem::take(&mut self.namespace);
        let key = mem::take(&mut self.key);
        let retry_after = thread::panicking().then_some(SOON);
        runtime.spawn(async move {
            let _ = client
                .abandon_lease(namespace, key, &lease, retry_after)
                .await;
        });
    }
}

/// Why the Put of a fetched credential failed.
#[derive(Clone, Copy)]
enum PutFailure {
    Revoked,
    LeaseLost,
    Outage,
    TooLarge,
    InvalidRequest,
}

impl PutFailure {
    fn of(error: &Error) -> Self {
        let aborted = matches!(error, Error::Refused(refusal) if refusal.code == Code::Aborted);
        match error.reason() {
            Some("REVOKED") => Self::Revoked,
            Some("LEASE_LOST") => Self::LeaseLost,
            // Of the two reasons to abort, the one that forbids more.
            _ if aborted => Self::Revoked,
            _ if error.is_outage() => Self::Outage,
            _ if is_too_large(error) => Self::TooLarge,
            _ => Self::InvalidRequest,
        }
    }
}

/// Whether the server refused the value alone, or the whole message, for its size.
fn is_too_large(error: &Error) -> bool {
    let Error::Refused(refusal) = error else {
        return false;
    };
    match refusal.code {
        Code::InvalidArgument => {
            let mut fields = refusal.violations.iter();
            !refusal.violations.is_empty() && fields.all(|violation| violation.field == "value")
        }
        Code::OutOfRange => true,
        _ => false,
    }
}
