//! `credcache fetch`: the credential of a key, or what a command fetches under
//! the key's lease, so that of all shells on all machines one fetches.
//!
//! Leaves who fetches to the client crate, and the running of the command to
//! `program`. Nothing that was begun is left behind: a refresh is finished, and
//! on a signal the command is ended and its lease given back.

mod program;

use std::{
    ffi::OsString,
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::Duration,
};

use credcache_client::{
    Client, Credential, FetchError, FetchOptions, Fetched, GetOrFetchError, Lifetime,
    OnOutage as ClientOnOutage,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::program::{GRACE, Program, ProgramError};
use super::{
    connection::ConnectionArgs, failure::Failure, interrupts::Interrupts, lifetime::LifetimeArgs,
    output, text,
};

pub(super) const EXAMPLES: &str = "\
Prints the key's value byte for byte, as `get` does. On a miss one caller of the
whole mesh runs CMD and stores what it prints; the others wait for that. A value
that is due to be fetched anew is printed at once, and one caller then runs CMD
before it ends.

CMD gets no stdin and no terminal; its stderr is passed through. If it exits with
anything but 0, prints nothing or takes too long, nobody runs it for
--retry-after: this caller ends with 70, the others with 75. It should take no
longer than the server's lease ttl, 10 s by default, or others run it as well.
Signals end it too, and give the lease back; after a SIGKILL the others wait for
the lease's end. While the server can't be reached, CMD is run by each caller.

CMD's arguments can be read by everybody on the machine: pass no secret in them.

Examples:
  export VAULT_TOKEN=$(credcache fetch vault ci --ttl 1h --trim-newline -- vault token create -field=token)
  credcache fetch oauth billing --ttl 15m --tag prod --min-ttl 60s -- ./issue-token billing";

/// Arguments of `fetch`.
#[derive(clap::Args, Debug)]
pub struct FetchArgs {
    /// The namespace.
    namespace: String,
    /// The key.
    key: String,
    /// The command that prints the value, and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
    // A relative one counts from before the command is run.
    #[command(flatten)]
    lifetime: LifetimeArgs,
    /// Fetch if less lifetime than this is left.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    min_ttl: Option<Duration>,
    /// Drop one newline from the end of what the command prints.
    #[arg(long)]
    trim_newline: bool,
    /// A tag by which it can be invalidated; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// The tier to use, instead of the smallest that covers the lifetime.
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    /// How long before its end it should be fetched anew.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    refresh_before: Option<Duration>,
    /// After a failure nobody runs the command for this long, 5 minutes at most.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    retry_after: Duration,
    /// How long the command may take. Whoever waits for somebody else's does so
    /// for as long, and --timeout.
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
    /// Run the command all the same.
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
        let (namespace, key) = (self.namespace.clone(), self.key.clone());
        let job = Arc::new(self.into_job()?);
        let (begun, mut under_way) = mpsc::channel(1);
        let work = async {
            let place = (&namespace[..], &key[..]);
            let outcome = fetch(&client, place, options, &job, begun).await;
            let outcome = match outcome {
                Ok(credential) => print(&credential).await,
                Err(error) => Err(explain(error)),
            };
            // A refresh, or a fetch that the call had no time to wait for.
            under_way.recv().await;
            if let (Ok(()), Some(failure)) = (&outcome, job.failure.get()) {
                output::complain(&format!("it is due, and wasn't fetched anew: {failure}"));
            }
            outcome
        };
        let code = tokio::select! {
            outcome = work => return outcome.map(|()| ExitCode::SUCCESS),
            code = interrupts.next() => code,
        };
        job.stop.cancel();
        tokio::select! {
            _ = under_way.recv() => {}
            // Somebody is in a hurry: what is left is killed.
            _ = interrupts.next() => {}
        }
        Ok(code.into())
    }

    fn options(&self) -> FetchOptions {
        // The command is ended here, with more to say about it than the client
        // could; beyond that nothing should get as far as the client's bounds.
        let fetch_timeout = self.fetch_timeout.saturating_add(2 * GRACE);
        let options = FetchOptions::default()
            .timeout(self.connection.timeout.saturating_add(fetch_timeout))
            .patience(self.connection.timeout)
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
        let mut command = self.command.into_iter();
        let name = command.next().ok_or_else(|| {
            Failure::Usage("give the command that fetches the credential, after --".into())
        })?;
        Ok(Job {
            program: Program {
                name,
                args: command.collect(),
                timeout: self.fetch_timeout,
                trim_newline: self.trim_newline,
            },
            lifetime: self.lifetime.into_lifetime()?,
            tags: self.tags,
            tier: self.tier,
            refresh_before: self.refresh_before,
            retry_after: self.retry_after,
            stop: CancellationToken::new(),
            failure: OnceLock::new(),
        })
    }
}

/// What there is to do if this process is the one that fetches.
struct Job {
    program: Program,
    lifetime: Lifetime,
    tags: Vec<String>,
    tier: Option<String>,
    refresh_before: Option<Duration>,
    retry_after: Duration,
    stop: CancellationToken,
    /// Of a refresh, whose caller has its answer already.
    failure: OnceLock<String>,
}

impl Job {
    async fn run(&self) -> Result<Fetched, FetchError<ProgramError>> {
        let value = self.program.run(&self.stop).await.map_err(|error| {
            let _ = self.failure.set(error.to_string());
            // Nothing has been learned of the issuer: others may try at once.
            let retry_after = match error {
                ProgramError::NotStarted(_) | ProgramError::Interrupted => Duration::ZERO,
                _ => self.retry_after,
            };
            FetchError::retryable(error).retry_after(retry_after)
        })?;
        let mut fetched = Fetched::new(value, self.lifetime);
        for tag in &self.tags {
            fetched = fetched.tag(tag);
        }
        if let Some(tier) = &self.tier {
            fetched = fetched.tier(tier);
        }
        if let Some(refresh_before) = self.refresh_before {
            fetched = fetched.refresh_before(refresh_before);
        }
        Ok(fetched)
    }
}

/// Nothing comes through `begun`: it is closed once all is done that the call
/// began.
async fn fetch(
    client: &Client,
    (namespace, key): (&str, &str),
    options: FetchOptions,
    job: &Arc<Job>,
    begun: mpsc::Sender<()>,
) -> Result<Credential, GetOrFetchError<ProgramError>> {
    let job = Arc::clone(job);
    let run = move || {
        // Lives as long as the client keeps this closure.
        let _ = &begun;
        let job = Arc::clone(&job);
        async move { job.run().await }
    };
    client.get_or_fetch_with(namespace, key, options, run).await
}

async fn print(credential: &Credential) -> Result<(), Failure> {
    if credential.version == 0 {
        output::complain("the server doesn't hold what was fetched: others may fetch it too");
    }
    Ok(output::stream_value(credential.value.expose()).await?)
}

fn explain(error: GetOrFetchError<ProgramError>) -> Failure {
    match error {
        GetOrFetchError::Fetch(error @ ProgramError::NotStarted(_)) => {
            Failure::Usage(error.to_string())
        }
        GetOrFetchError::Fetch(error) => Failure::Command(error.to_string()),
        GetOrFetchError::Closed { retry_after } => Failure::NotNow(format!(
            "fetching the credential failed a moment ago; try again in {}",
            humantime::format_duration(Duration::from_millis(
                u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX)
            ))
        )),
        GetOrFetchError::Pending { .. } => Failure::NotNow(
            "somebody else is still fetching the credential; try again, or a longer \
             --fetch-timeout"
                .into(),
        ),
        error @ (GetOrFetchError::TimedOut | GetOrFetchError::Revoked) => {
            Failure::NotNow(format!("{error}; try again"))
        }
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
        assert_eq!(args.tags, ["prod"]);
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
            explain(GetOrFetchError::Closed { retry_after }),
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
