//! The work of the caller that fetches, and its outcome.

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
        escape,
        lifetime::{FetchedLifetime, wall_now},
    },
    program::{Program, ProgramError},
};

/// What a job is to do, as typed.
pub(super) struct JobSpec {
    pub(super) program: Program,
    pub(super) lifetime: FetchedLifetime,
    pub(super) store: StoreArgs,
    pub(super) retry_after: Duration,
}

pub(super) struct Job {
    spec: JobSpec,
    stop: CancellationToken,
    /// The failure of a refresh, whose caller already has a credential.
    failure: OnceLock<String>,
    output: Mutex<Option<Output>>,
}

/// The program's last output.
#[derive(Clone)]
struct Output {
    value: Secret,
    lifetime: Lifetime,
    /// The time before the program was run.
    begun: Instant,
    begun_at: SystemTime,
}

impl Job {
    pub(super) fn new(spec: JobSpec) -> Self {
        Self {
            spec,
            stop: CancellationToken::new(),
            failure: OnceLock::new(),
            output: Mutex::default(),
        }
    }

    /// Ends the program, or prevents it from being run.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Why the program output no credential.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    pub(super) async fn run(&self) -> Result<Fetched, FetchError<ProgramError>> {
        let spec = &self.spec;
        let (value, lifetime) = self.fetch().await.map_err(|error| {
            let _ = self.failure.set(error.to_string());
            // The issuer wasn't reached: other callers may try at once.
            let retry_after = match error {
                ProgramError::NotStarted(_) | ProgramError::Interrupted => Duration::ZERO,
                _ => spec.retry_after,
            };
            FetchError::retryable(error).retry_after(retry_after)
        })?;
        Ok(spec.store.apply(Fetched::new(value, lifetime)))
    }

    async fn fetch(&self) -> Result<(Secret, Lifetime), ProgramError> {
        let (begun, begun_at) = (Instant::now(), wall_now());
        let value = self.spec.program.run(&self.stop).await?;
        let lifetime = self.spec.lifetime.of(value.expose());
        let lifetime = lifetime.map_err(ProgramError::Lifetime)?;
        let output = Output {
            value: value.clone(),
            lifetime,
            begun,
            begun_at,
        };
        *self.output.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
        Ok((value, lifetime))
    }

    /// The requested lifetime, if this credential is the program's output.
    pub(super) fn requested_lifetime(&self, credential: &Credential) -> Option<Lifetime> {
        let output = self.output()?;
        let same = output.value.expose() == credential.value.expose();
        same.then_some(output.lifetime)
    }

    /// The program's output that the server doesn't store, and the reason. `None` if it has expired
    /// meanwhile, by this machine's clocks or by the server's.
    pub(super) fn unstored(
        &self,
        error: &GetOrFetchError<ProgramError>,
    ) -> Option<(Secret, String)> {
        let reason = match error {
            GetOrFetchError::Revoked => {
                "the credential was revoked while it was being fetched, so the server doesn't \
                 hold it, and its recipient may refuse it"
                    .into()
            }
            GetOrFetchError::Cache(Error::Refused(refusal)) if !is_about_lifetime(refusal) => {
                format!(
                    "the server doesn't store the fetched credential, so other callers will fetch it \
                     too: {}",
                    escape::line(&refusal.message)
                )
            }
            _ => return None,
        };
        let output = self.output().filter(Output::is_live)?;
        Some((output.value, reason))
    }

    fn output(&self) -> Option<Output> {
        let output = self.output.lock();
        output.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Output {
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

fn is_about_lifetime(refusal: &Refusal) -> bool {
    let of_lifetime = ["lifetime", "ttl", "expires_at"];
    let mut violations = refusal.violations.iter();
    violations.any(|violation| of_lifetime.contains(&&violation.field[..]))
}
