//! What there is to do if this process is the one that fetches, and what came
//! of it.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use credcache_client::{
    Credential, Error, FetchError, Fetched, GetOrFetchError, Lifetime, Refusal, Secret,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        credential::StoreArgs,
        lifetime::{FetchedLifetime, wall_now},
        shown,
    },
    program::{Program, ProgramError},
};

/// What was typed of it.
pub(super) struct Order {
    pub(super) program: Program,
    pub(super) lifetime: FetchedLifetime,
    pub(super) store: StoreArgs,
    pub(super) retry_after: Duration,
}

pub(super) struct Job {
    order: Order,
    stop: CancellationToken,
    /// Of a refresh, whose caller has its answer already.
    failure: OnceLock<String>,
    brought: Mutex<Option<Brought>>,
}

/// What the program printed last.
#[derive(Clone)]
struct Brought {
    value: Secret,
    lifetime: Lifetime,
    /// Before the program was run.
    begun: Instant,
    begun_at: SystemTime,
}

impl Job {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            stop: CancellationToken::new(),
            failure: OnceLock::new(),
            brought: Mutex::default(),
        }
    }

    /// Ends the program, and keeps it from being run.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Why the program brought nothing.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    pub(super) async fn run(&self) -> Result<Fetched, FetchError<ProgramError>> {
        let order = &self.order;
        let (value, lifetime) = self.bring().await.map_err(|error| {
            let _ = self.failure.set(error.to_string());
            // Nothing has been learned of the issuer: others may try at once.
            let retry_after = match error {
                ProgramError::NotStarted(_) | ProgramError::Interrupted => Duration::ZERO,
                _ => order.retry_after,
            };
            FetchError::retryable(error).retry_after(retry_after)
        })?;
        Ok(order.store.apply(Fetched::new(value, lifetime)))
    }

    async fn bring(&self) -> Result<(Secret, Lifetime), ProgramError> {
        let (begun, begun_at) = (Instant::now(), wall_now());
        let value = self.order.program.run(&self.stop).await?;
        let lifetime = self.order.lifetime.of(value.expose());
        let lifetime = lifetime.map_err(ProgramError::Unstated)?;
        let brought = Brought {
            value: value.clone(),
            lifetime,
            begun,
            begun_at,
        };
        *self.brought.lock().unwrap_or_else(PoisonError::into_inner) = Some(brought);
        Ok((value, lifetime))
    }

    /// The lifetime that was asked for, if this credential is what the program
    /// brought.
    pub(super) fn asked_for(&self, credential: &Credential) -> Option<Lifetime> {
        let brought = self.brought()?;
        let same = brought.value.expose() == credential.value.expose();
        same.then_some(brought.lifetime)
    }

    /// What the program brought and the server doesn't store, and why; nothing if
    /// it has ended meanwhile, by this machine's clocks or by the server's.
    pub(super) fn unstored(
        &self,
        error: &GetOrFetchError<ProgramError>,
    ) -> Option<(Secret, String)> {
        let why = match error {
            GetOrFetchError::Revoked => {
                "it was revoked while it was being fetched, so the server doesn't hold it: it may \
                 be refused where it is shown"
                    .into()
            }
            GetOrFetchError::Cache(Error::Refused(refusal)) if !says_ended(refusal) => format!(
                "the server doesn't store what was fetched, so others will fetch it too: {}",
                shown::line(&refusal.message)
            ),
            _ => return None,
        };
        let brought = self.brought().filter(Brought::is_live)?;
        Some((brought.value, why))
    }

    fn brought(&self) -> Option<Brought> {
        let brought = self.brought.lock();
        brought.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Brought {
    fn is_live(&self) -> bool {
        match self.lifetime {
            Lifetime::Ttl(ttl) => {
                let by_wall = self.begun_at.checked_add(ttl);
                self.begun.elapsed() < ttl && by_wall.is_none_or(|end| wall_now() < end)
            }
            Lifetime::ExpiresAt(end) => wall_now() < end,
        }
    }
}

fn says_ended(refusal: &Refusal) -> bool {
    let of_lifetime = ["lifetime", "ttl", "expires_at"];
    let mut violations = refusal.violations.iter();
    violations.any(|violation| of_lifetime.contains(&&violation.field[..]))
}
