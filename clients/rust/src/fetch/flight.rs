//! One fetch, from its beginning to the Put of what it brought, in a task of its
//! own: neither the deadline nor the end of a caller touches it.

use std::{mem, sync::Arc, thread, time::Duration};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use super::{
    FetchError, Fetched,
    failure::SOON,
    flights::{Entry, Outcome},
};
use crate::{
    Client, Code, Credential, Error, Lease,
    clock::{self, BootInstant},
};

/// A fetch that is about to begin.
pub(super) struct Flight<F> {
    /// Its timeout is what the cache may cost before it is done without.
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) key: String,
    pub(super) fetch: Arc<F>,
    /// How long the fetch may take.
    pub(super) limit: Duration,
    pub(super) lease: Option<Lease>,
    pub(super) entry: Option<Entry>,
    /// The cache can't be reached: hand out first, and store if it can be done.
    pub(super) outage: bool,
}

/// How it ended, for the one who began it.
pub(super) enum Landing<E> {
    /// Fetched; and stored, unless the cache couldn't.
    Ready(Arc<Credential>),
    /// Fetched, but the lease had run out: somebody else may have stored a later
    /// one.
    LeaseLost(Arc<Credential>),
    /// Fetched, and revoked meanwhile: it must not be used.
    Revoked,
    Failed(E),
    TimedOut,
    /// What was fetched is nothing that the cache stores.
    Refused(Error),
}

impl<F, Fut, E> Flight<F>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Fetched, FetchError<E>>> + Send + 'static,
    E: Send + 'static,
{
    /// Begins it. If the fetch panics, the receiver learns that nothing comes.
    pub(super) fn spawn(self) -> oneshot::Receiver<Landing<E>> {
        let (report, landing) = oneshot::channel();
        tokio::spawn(self.run(report));
        landing
    }

    /// The same within the caller's own future.
    pub(super) async fn run(self, report: oneshot::Sender<Landing<E>>) {
        let Self {
            client,
            namespace,
            key,
            fetch,
            limit,
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
        let begun = BootInstant::now();
        let begun_at = clock::wall_now();
        let (failure, retry_after) = match timeout(limit, fetch()).await {
            Ok(Ok(fetched)) => match fetched.credential(begun) {
                Ok(credential) => {
                    // Without a lease, the instant when the fetch began stands in
                    // for when it was issued: a revocation since then counts.
                    let fetched = match held.lease {
                        Some(_) => fetched,
                        None => fetched.issued_after(begun_at),
                    };
                    return held
                        .deliver(fetched, credential, entry, outage, report)
                        .await;
                }
                Err(error) => (Landing::Refused(error), SOON),
            },
            Ok(Err(FetchError { error, retry_after })) => (Landing::Failed(error), retry_after),
            Err(_) => (Landing::TimedOut, SOON),
        };
        let retry_after = retry_after.min(LONGEST_CLOSED);
        held.give_back(Some(retry_after)).await;
        // Who waits for the end of what it began waits no longer.
        drop(fetch);
        if let Some(entry) = entry {
            entry.tell(Outcome::Closed(Instant::now() + retry_after));
            let _ = report.send(failure);
            // Who asks until then, and can't ask the server, finds it closed.
            sleep(retry_after).await;
        } else {
            let _ = report.send(failure);
        }
    }
}

/// As long as the server keeps a key from being fetched.
const LONGEST_CLOSED: Duration = Duration::from_secs(300);

/// A key being fetched, and its lease if there is one. Gives it back when it is
/// dropped, as it is when the fetch panics or the runtime ends.
struct Held {
    client: Client,
    namespace: String,
    key: String,
    lease: Option<Lease>,
}

impl Held {
    async fn deliver<E>(
        mut self,
        fetched: Fetched,
        mut credential: Credential,
        entry: Option<Entry>,
        outage: bool,
        report: oneshot::Sender<Landing<E>>,
    ) {
        let stated_end = fetched.stated_end();
        let mut put = fetched.put(&self.namespace, &self.key, &credential);
        if let Some(lease) = &self.lease {
            put = put.lease(lease);
        }
        if outage {
            let _ = report.send(ready(credential, entry));
            let _ = self.client.put(put).await;
            return;
        }
        let landing = match self.client.put(put).await {
            Ok(stored) => {
                self.lease = None;
                credential.was_stored(stored, stated_end);
                ready(credential, entry)
            }
            Err(error) => match refused(&error) {
                Refused::Revoked => {
                    self.give_back(None).await;
                    Landing::Revoked
                }
                Refused::LeaseLost => {
                    self.lease = None;
                    Landing::LeaseLost(Arc::new(credential))
                }
                Refused::Outage => {
                    let _ = report.send(ready(credential, entry));
                    self.give_back(None).await;
                    return;
                }
                Refused::Input => {
                    self.give_back(Some(SOON)).await;
                    Landing::Refused(error)
                }
            },
        };
        let _ = report.send(landing);
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

/// Tells the followers. Who comes later doesn't find them any more, but asks the
/// server.
fn ready<E>(credential: Credential, entry: Option<Entry>) -> Landing<E> {
    let credential = Arc::new(credential);
    if let Some(entry) = entry {
        entry.tell(Outcome::Ready(Arc::clone(&credential)));
    }
    Landing::Ready(credential)
}

/// Why a Put of what was fetched failed.
enum Refused {
    Revoked,
    LeaseLost,
    Outage,
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
        _ => Refused::Input,
    }
}
