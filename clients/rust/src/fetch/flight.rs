//! One fetch, from its beginning to the Put of what it brought.
//!
//! In a task of its own neither the deadline nor the end of a caller touches it.

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

use super::{
    FetchError, FetchFailure, Fetched, Fetches, LEASE_TTL,
    failure::SOON,
    flights::{Entry, Outcome},
    kept::Since,
};
use crate::{
    Client, Code, Credential, Error, Lease, Measured,
    clock::{self, BootInstant},
    judged::Unjudged,
};

/// A fetch that is about to begin.
pub(crate) struct Flight<F> {
    /// Its timeout is what the cache may cost before it is done without.
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) key: String,
    pub(super) fetch: Arc<F>,
    /// How long the fetch may take.
    pub(super) limit: Duration,
    /// How long what was fetched is kept if the cache is away.
    pub(super) keep: Duration,
    pub(super) lease: Option<Lease>,
    pub(super) entry: Option<Entry>,
    /// The cache can't be reached: hand out first, and store if it can be done.
    pub(super) outage: bool,
}

/// How it ended, for the one who began it.
pub(crate) enum Landing<E> {
    /// Fetched; and stored, unless the cache couldn't.
    Ready(Unjudged<Arc<Credential>>),
    /// Fetched, but the lease had run out: somebody else may have stored a later
    /// one.
    LeaseLost(Unjudged<Arc<Credential>>),
    /// Fetched, and revoked meanwhile: it must not be used.
    Revoked,
    /// What the issuer answered had ended already.
    Ended,
    Failed(E),
    TimedOut,
    /// What was fetched is nothing that the cache stores.
    Refused(Error),
}

/// When a fetch began.
struct Begun {
    boot: BootInstant,
    /// By the server's wall clock, if that is known.
    wall: SystemTime,
    since: Since,
}

impl<F, Fut, X> Flight<F>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Fetched, X>> + Send + 'static,
    X: FetchFailure + 'static,
    X::Error: Send + 'static,
{
    /// Begins it in a task. If the fetch panics, the receiver learns that nothing
    /// comes.
    pub(crate) fn spawn(self) -> oneshot::Receiver<Landing<X::Error>> {
        let (report, landing) = oneshot::channel();
        tokio::spawn(self.run(report));
        landing
    }
}

impl<F, Fut, X> Flight<F>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Fetched, X>>,
    X: FetchFailure,
{
    /// The same within the caller's own future, and ended with it.
    pub(super) async fn in_place(self) -> Result<Landing<X::Error>, RecvError> {
        let (report, landing) = oneshot::channel();
        self.run(report).await;
        landing.await
    }

    pub(super) async fn run(self, report: oneshot::Sender<Landing<X::Error>>) {
        let Self {
            client,
            namespace,
            key,
            fetch,
            limit,
            keep,
            lease,
            entry,
            outage,
        } = self;
        let mut held = Held {
            client,
            namespace,
            key,
            lease,
        };
        let begun = held.begin();
        let fetched = held.extended(timeout(limit, fetch())).await;
        let fetched = fetched.map(|fetched| fetched.map_err(X::into_fetch_error));
        let took = BootInstant::now().since(begun.boot);
        let (failure, retry_after) = match fetched {
            Ok(Ok(fetched)) => match fetched.credential(begun.boot) {
                Some(credential) => {
                    held.client.metrics.record(Measured::Fetched { took });
                    // Without a lease, the instant when the fetch began stands in
                    // for when it was issued: a revocation since then counts.
                    let fetched = match held.lease {
                        Some(_) => fetched,
                        None => fetched.issued_after(begun.wall),
                    };
                    let delivery = Delivery {
                        begun,
                        keep,
                        entry,
                        report,
                    };
                    return held.deliver(fetched, credential, outage, delivery).await;
                }
                None => (Landing::Ended, SOON),
            },
            Ok(Err(FetchError { error, retry_after })) => (Landing::Failed(error), retry_after),
            Err(_) => (Landing::TimedOut, SOON),
        };
        held.client.metrics.record(Measured::FetchFailed { took });
        let retry_after = retry_after.min(LONGEST_CLOSED);
        held.give_back(Some(retry_after)).await;
        // Who waits for the end of what it began waits no longer.
        drop(fetch);
        if let Some(entry) = entry {
            entry.tell(Outcome::Closed(Instant::now() + retry_after));
            // Who asks until then, and can't ask the server, finds it closed.
            tokio::spawn(async move {
                sleep(retry_after).await;
                drop(entry);
            });
        }
        let _ = report.send(failure);
    }
}

/// Between two extensions of a lease, however short it is.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// As long as the server keeps a key from being fetched.
const LONGEST_CLOSED: Duration = Duration::from_secs(300);

/// What becomes of what was fetched, beside the Put.
struct Delivery<E> {
    begun: Begun,
    keep: Duration,
    entry: Option<Entry>,
    report: oneshot::Sender<Landing<E>>,
}

impl<E> Delivery<E> {
    /// Tells the caller and the followers. Who comes later doesn't find them any
    /// more, but asks the server.
    fn hand_out(self, credential: Unjudged<Credential>) {
        let credential = credential.map(Arc::new);
        if let Some(entry) = self.entry {
            entry.tell(Outcome::Ready(credential.clone()));
        }
        let _ = self.report.send(Landing::Ready(credential));
    }

    /// The same without the cache: who comes later, and can't ask the server
    /// either, finds it for a while.
    fn hand_out_and_keep(self, held: &Held, credential: Unjudged<Credential>) {
        let until = self.begun.boot.after(self.keep);
        let credential = credential.map(Arc::new);
        let fetches = &held.client.fetches;
        let name = (&held.namespace[..], &held.key[..]);
        fetches
            .kept
            .keep(name, &credential, self.begun.since, until);
        if let Some(entry) = self.entry {
            entry.tell(Outcome::Ready(credential.clone()));
        }
        let _ = self.report.send(Landing::Ready(credential));
    }
}

/// A key being fetched, and its lease if there is one. Gives it back when it is
/// dropped, as it is when the fetch panics or the runtime ends.
struct Held {
    client: Client,
    namespace: String,
    key: String,
    lease: Option<Lease>,
}

impl Held {
    fn begin(&self) -> Begun {
        let Fetches { kept, .. } = &*self.client.fetches;
        let since = kept.begin();
        // Read in this order: what passes in between makes it no younger.
        let wall = clock::wall_now();
        let boot = BootInstant::now();
        let wall = self.client.server_clock.earliest(boot).unwrap_or(wall);
        Begun { boot, wall, since }
    }

    /// Runs the fetch, and keeps the lease while it runs.
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
            sleep((lasts / 3).max(SHORTEST_PAUSE)).await;
            let extended = client
                .extend_lease(&self.namespace, &self.key, &lease.token, LEASE_TTL)
                .await;
            match extended {
                Ok(ttl) => lasts = ttl,
                // The next one may get there in time.
                Err(error) if error.is_outage() => {}
                // Whether what is being fetched may still be stored is for the
                // server to say once it is there.
                Err(_) => return pending().await,
            }
        }
    }

    async fn deliver<E>(
        mut self,
        fetched: Fetched,
        mut credential: Unjudged<Credential>,
        outage: bool,
        delivery: Delivery<E>,
    ) {
        let stated_end = fetched.stated_end();
        let is_empty = fetched.is_empty();
        let mut put = fetched.put(&self.namespace, &self.key, credential.seen());
        if let Some(lease) = &self.lease {
            put = put.lease(lease);
        }
        if outage {
            delivery.hand_out_and_keep(&self, credential);
            if self.client.put(put).await.is_err() {
                self.client.metrics.record(Measured::NotStored);
            }
            return;
        }
        // Of a short life no more than half is spent on storing it.
        let timeout = self.client.timeout.min(credential.seen().remaining() / 2);
        let error = match self.client.with_timeout(timeout).put(put).await {
            Ok(stored) => {
                self.lease = None;
                credential.inner_mut().was_stored(stored, stated_end);
                delivery.hand_out(credential);
                return;
            }
            Err(error) => error,
        };
        self.client.metrics.record(Measured::NotStored);
        let refused = refused(&error);
        match refused {
            Refused::Outage => {
                delivery.hand_out_and_keep(&self, credential);
                self.give_back(None).await;
            }
            // Whoever waits for it is better off with one of its own.
            Refused::TooLarge if !is_empty => {
                delivery.hand_out(credential);
                self.give_back(None).await;
            }
            Refused::Revoked => {
                self.give_back(None).await;
                let _ = delivery.report.send(Landing::Revoked);
            }
            Refused::LeaseLost => {
                self.lease = None;
                let credential = credential.map(Arc::new);
                let _ = delivery.report.send(Landing::LeaseLost(credential));
            }
            Refused::Input | Refused::TooLarge => {
                self.give_back(Some(SOON)).await;
                let _ = delivery.report.send(Landing::Refused(error));
            }
        }
    }

    /// Gives the lease back, if there is one; in vain if the cache can't be
    /// reached: then it runs out.
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

impl Drop for Held {
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

/// Why a Put of what was fetched failed.
#[derive(Clone, Copy)]
enum Refused {
    Revoked,
    LeaseLost,
    Outage,
    TooLarge,
    Input,
}

fn refused(error: &Error) -> Refused {
    let aborted = matches!(error, Error::Refused(refusal) if refusal.code == Code::Aborted);
    match error.reason() {
        Some("REVOKED") => Refused::Revoked,
        Some("LEASE_LOST") => Refused::LeaseLost,
        // Of two reasons to abort, the one that forbids more.
        _ if aborted => Refused::Revoked,
        _ if error.is_outage() => Refused::Outage,
        _ if is_too_large(error) => Refused::TooLarge,
        _ => Refused::Input,
    }
}

/// The value is at fault, and nothing else; or the whole message.
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
