//! `credcache fetch`: prints the credential of a key. On a miss, the command runs a program under
//! the key's lease, so that of all shells on all machines one fetches.
//!
//! The client crate decides who fetches, and `program` runs the program. Nothing is left behind: a
//! refresh is finished, and on a signal the program is ended and its lease given back.
//!
//! Arguments that can be refused are refused before the program runs.

mod job;
mod program;

use std::{ffi::OsString, process::ExitCode, sync::Arc, time::Duration};

use credcache_client::{
    Client, Credential, Error, FetchOptions, GetOrFetchError, OnOutage as ClientOnOutage,
};
use tokio::sync::mpsc;

use self::{
    job::Job,
    program::{Program, ProgramError},
};
use super::{
    connection::ConnectionArgs,
    credential::{NameArgs, StoreArgs},
    failure::Failure,
    interrupts::Interrupts,
    lifetime::{self, FetchedLifetimeArgs},
    names, output,
    supervise::GRACE,
    text,
};
use crate::duration;

pub(super) const EXAMPLES: &str = "\
Prints the key's value byte for byte, as `get` does. On a miss, one caller of the
whole mesh runs CMD and stores what CMD prints; the other callers wait for it. A
value that is due for refresh is printed at once, and one caller then runs CMD
before that caller ends.

CMD gets no stdin and no terminal; its stderr is passed through. If CMD exits with
anything but 0, prints nothing or takes too long, no caller runs it for
--retry-after: this caller ends with 70, the others with 75. The key's lease is
extended while CMD runs. A signal ends CMD with all processes that it started, and
gives the lease back. A SIGKILL ends CMD too, and another caller takes over seconds
later. Processes that CMD leaves running in the background when it exits with 0 are
not waited for. While the server can't be reached, or doesn't accept what CMD
printed, each caller runs CMD.

The lifetime should be the one that the issuer states. --lifetime-from reads it
from what CMD prints:
  aws              Expiration, of a credential process or of STS (Credentials.Expiration)
  exec-credential  status.expirationTimestamp of Kubernetes
  oauth            expires_in, in seconds from before CMD was run
  jwt              exp of the token, which is not verified
  google           expiration_time, in Unix seconds
  json:POINTER     the target of an RFC 6901 pointer: a time by RFC 3339, or Unix seconds

Everybody on the machine can read CMD's arguments: pass no secret in them.

Examples:
  credcache fetch aws reader --lifetime-from aws -- aws sts assume-role --role-arn \"$ROLE\" --role-session-name ci
  export VAULT_TOKEN=$(credcache fetch vault ci --ttl 1h --trim-newline -- vault token create -field=token)
  credcache fetch oauth billing --ttl 15m --tag prod --min-ttl 60s -- ./issue-token billing";

/// Arguments of `fetch`.
#[derive(clap::Args, Debug)]
pub struct FetchArgs {
    #[command(flatten)]
    name: NameArgs,
    /// The command that prints the value, and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
    #[command(flatten)]
    lifetime: FetchedLifetimeArgs,
    /// Fetch if less lifetime than this is left.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    min_ttl: Option<Duration>,
    /// Drop one newline from the end of what the command prints.
    #[arg(long)]
    trim_newline: bool,
    #[command(flatten)]
    store: StoreArgs,
    /// After a failure, no caller runs the command for this long, 5 minutes at most.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = text::parse_pause)]
    retry_after: Duration,
    /// How long the command may take. Callers that wait for another caller's command wait for as
    /// long, and --timeout.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = text::parse_interval)]
    fetch_timeout: Duration,
    /// What to do while the server can't be reached.
    #[arg(long, value_enum, default_value_t)]
    on_outage: OnOutage,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum OnOutage {
    /// Run the command anyway.
    #[default]
    Fetch,
    /// Fail with 69.
    Fail,
}

impl FetchArgs {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let mut interrupts = Interrupts::listen()?;
        let client = self.connection.connect_lazy()?;
        let options = self.options();
        let (namespace, key) = (self.name.namespace.clone(), self.name.key.clone());
        let job = Arc::new(self.into_job()?);
        let (begun, mut under_way) = mpsc::channel(1);
        let work = async {
            let place = (&namespace[..], &key[..]);
            let outcome = match fetch(&client, place, options, &job, begun).await {
                Ok(credential) => print(&client, &job, &credential).await,
                Err(error) => print_unstored(&job, error).await,
            };
            // Waits for a refresh, or for a fetch that outlasted the call's timeout.
            under_way.recv().await;
            if let (Ok(()), Some(failure)) = (&outcome, job.failure()) {
                output::print_to_stderr(&format!(
                    "the credential is due for refresh, and the refresh failed: {failure}"
                ));
            }
            outcome
        };
        let code = tokio::select! {
            outcome = work => return outcome.map(|()| ExitCode::SUCCESS),
            code = interrupts.next() => code,
        };
        job.stop();
        tokio::select! {
            _ = under_way.recv() => {}
            // A second signal means haste: the rest is killed.
            () = interrupts.repeated() => {}
        }
        Ok(code.into())
    }

    fn options(&self) -> FetchOptions {
        // The program's own timeout ends it, and gives a better message than the client's timeout,
        // which is therefore longer.
        let fetch_timeout = self.fetch_timeout.saturating_add(2 * GRACE);
        let options = FetchOptions::default()
            .timeout(self.connection.timeout.saturating_add(fetch_timeout))
            .server_timeout(self.connection.timeout)
            .fetch_timeout(fetch_timeout)
            .on_outage(match self.on_outage {
                OnOutage::Fetch => ClientOnOutage::Fetch,
                OnOutage::Fail => ClientOnOutage::Fail,
            });
        match self.min_ttl {
            Some(min_ttl) => options.min_ttl(min_ttl),
            None => options,
        }
    }

    fn into_job(self) -> Result<Job, Failure> {
        names::check_labels(&self.store.tags, &[])?;
        let mut command = self.command.into_iter();
        let name = command.next().ok_or_else(|| {
            Failure::Usage("give the command that fetches the credential, after --".into())
        })?;
        Ok(Job::new(job::JobSpec {
            program: Program {
                name,
                args: command.collect(),
                timeout: self.fetch_timeout,
                trim_newline: self.trim_newline,
            },
            lifetime: self.lifetime.into_lifetime()?,
            store: self.store,
            retry_after: self.retry_after,
        }))
    }
}

/// Nothing is sent through `begun`. The channel is closed once all work that the call began is
/// done.
async fn fetch(
    client: &Client,
    (namespace, key): (&str, &str),
    options: FetchOptions,
    job: &Arc<Job>,
    begun: mpsc::Sender<()>,
) -> Result<Credential, GetOrFetchError<ProgramError>> {
    let job = Arc::clone(job);
    let run = move || {
        // The channel stays open for as long as the client keeps this closure.
        let _ = &begun;
        let job = Arc::clone(&job);
        async move { job.run().await }
    };
    client.get_or_fetch_with(namespace, key, options, run).await
}

async fn print(client: &Client, job: &Job, credential: &Credential) -> Result<(), Failure> {
    output::stream_value(credential.value.expose()).await?;
    if credential.version == 0 {
        output::print_to_stderr(
            "the server doesn't hold the fetched credential, so other callers may fetch it too",
        );
    } else if let Some(requested) = job.requested_lifetime(credential) {
        let (tier, ends) = (&credential.tier, credential.expires_at);
        if let Some(note) = lifetime::shortening_note(client, requested, tier, ends).await {
            output::print_to_stderr(&note);
        }
    }
    Ok(())
}

/// Prints a credential that was fetched and can't be stored, as in an outage: running the program
/// again would fetch no better one.
async fn print_unstored(job: &Job, error: GetOrFetchError<ProgramError>) -> Result<(), Failure> {
    match job.unstored(&error) {
        Some((value, reason)) => {
            output::stream_value(value.expose()).await?;
            output::print_to_stderr(&reason);
            Ok(())
        }
        None => Err(explain(error)),
    }
}

fn explain(error: GetOrFetchError<ProgramError>) -> Failure {
    match error {
        GetOrFetchError::Fetch(error @ ProgramError::NotStarted(_)) => {
            Failure::Usage(error.to_string())
        }
        GetOrFetchError::Fetch(error) => Failure::Command(error.to_string()),
        GetOrFetchError::CoolDown { retry_after } => Failure::NotNow(format!(
            "fetching the credential failed a moment ago; try again in {}",
            duration::format(retry_after)
        )),
        GetOrFetchError::Pending { .. } => Failure::NotNow(
            "another caller is still fetching the credential; try again, or with a longer \
             --fetch-timeout"
                .into(),
        ),
        error @ (GetOrFetchError::TimedOut | GetOrFetchError::Revoked) => {
            Failure::NotNow(format!("{error}; try again"))
        }
        GetOrFetchError::Cache(Error::Expired) => Failure::Command(
            "the command took longer than the lifetime of the credential that it printed".into(),
        ),
        GetOrFetchError::Cache(error) => error.into(),
        error => Failure::Command(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClientCommand, parsed};
    use super::*;

    fn fetch(line: &str) -> Option<FetchArgs> {
        match parsed(&format!("credcache fetch aws reader {line}")).ok()? {
            ClientCommand::Fetch(args) => Some(args),
            command => panic!("{command:?}"),
        }
    }

    #[test]
    fn command_follows_two_dashes_with_arguments_of_its_own() {
        let args = fetch("--ttl 1h --tag prod -- issue --ttl 5m -- x").unwrap();
        assert_eq!(args.command, ["issue", "--ttl", "5m", "--", "x"]);
        assert_eq!(args.store.tags, ["prod"]);
        assert_eq!(args.retry_after, Duration::from_secs(5));
        assert_eq!(args.on_outage, OnOutage::Fetch);
        assert!(fetch("--ttl 1h").is_none());
        assert!(fetch("--ttl 1h --").is_none());
        assert!(fetch("--ttl 1h issue").is_none());
    }

    #[test]
    fn lifetime_is_required_and_a_limit_is_never_zero() {
        assert!(fetch("-- issue").is_none());
        assert!(fetch("--ttl 1h --expires-at 2031-05-01T12:00:00Z -- issue").is_none());
        assert!(fetch("--ttl 1h --lifetime-from jwt -- issue").is_none());
        assert!(fetch("--ttl 1h --fetch-timeout 0s -- issue").is_none());
        assert!(fetch("--ttl 1h --on-outage wait -- issue").is_none());
        let args = fetch("--ttl 1h --on-outage fail --retry-after 0s -- issue").unwrap();
        assert_eq!(
            (args.on_outage, args.retry_after),
            (OnOutage::Fail, Duration::ZERO)
        );
    }

    #[test]
    fn exit_code_tells_the_command_from_the_wait_for_others() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let retry_after = Duration::from_nanos(1_500_000_001);
        assert!(matches!(
            explain(GetOrFetchError::Fetch(ProgramError::NotStarted(missing))),
            Failure::Usage(_)
        ));
        assert!(matches!(
            explain(GetOrFetchError::Fetch(ProgramError::Interrupted)),
            Failure::Command(_)
        ));
        assert!(matches!(
            explain(GetOrFetchError::Cache(Error::Expired)),
            Failure::Command(_)
        ));
        assert!(matches!(
            explain(GetOrFetchError::CoolDown { retry_after }),
            Failure::NotNow(message) if message.ends_with("1s 500ms")
        ));
        for error in [
            GetOrFetchError::Pending { retry_after: None },
            GetOrFetchError::TimedOut,
            GetOrFetchError::Revoked,
        ] {
            assert!(matches!(explain(error), Failure::NotNow(_)));
        }
    }
}
