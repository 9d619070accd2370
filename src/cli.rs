//! The command line: parses the arguments into a [`Command`], and runs the client commands through
//! the client crate.
//!
//! Scripts rely on the exit codes, which this module guarantees. The caller runs `serve` and
//! `check-config`.

mod abandon;
mod connection;
mod credential;
mod escape;
mod failure;
mod fetch;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod get;
mod health;
mod interrupts;
mod invalidate;
mod lease;
mod lifetime;
mod names;
mod output;
mod put;
mod stats;
mod supervise;
mod text;
mod typed;
mod value;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, CheckConfigArgs, ServeArgs};

use self::failure::{Failure, Retry};
pub use self::supervise::{SuperviseArgs, supervise};

/// A gRPC cache for the short-lived credentials of a service mesh.
#[derive(Debug, Parser)]
#[command(name = "credcache", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Parses the program's arguments.
///
/// # Errors
/// The exit code, if the arguments can't be parsed, or if they ask for `--help` or `--version`,
/// whose text is then printed.
pub fn parse() -> Result<Cli, ExitCode> {
    typed::parse()
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done; get: a hit; fetch: a credential; health: serving
  1   get: a miss; health: not serving
  64  the arguments or the input are wrong
  69  the server can't be reached, or is draining
  70  any other error; fetch: the command failed
  75  fetch: try again later: the last fetch failed a moment ago, or another caller is still fetching
  129, 130, 131, 143  fetch: ended by SIGHUP, SIGINT, SIGQUIT, SIGTERM";

/// The commands of the program.
#[derive(Debug, Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one command, and it is moved twice"
)]
pub enum Command {
    /// Run the server.
    #[command(after_help = "Settings without a flag: credcache check-config --help")]
    Serve(ServeArgs),
    /// Check the server's configuration without starting it.
    #[command(after_help = config::help())]
    CheckConfig(CheckConfigArgs),
    /// Supervise the command of `fetch`.
    #[command(name = supervise::NAME, hide = true)]
    Supervise(SuperviseArgs),
    /// A command to a running server.
    #[command(flatten)]
    Client(ClientCommand),
}

/// The commands to a running server.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Store a credential; its value is read from stdin or a file.
    #[command(after_help = put::EXAMPLES)]
    Put(put::PutArgs),
    /// Print a credential's value to stdout.
    #[command(after_help = get::EXAMPLES)]
    Get(get::GetArgs),
    /// Print a credential's value; on a miss, run a command that fetches it for everybody.
    #[command(after_help = fetch::EXAMPLES)]
    Fetch(fetch::FetchArgs),
    /// Give back a lease that won't be used.
    #[command(after_help = abandon::EXAMPLES)]
    Abandon(abandon::AbandonArgs),
    /// Revoke credentials by key, key prefix or tag, or all of a namespace.
    #[command(after_help = invalidate::EXAMPLES)]
    Invalidate(invalidate::InvalidateArgs),
    /// Print the changes of a namespace as they happen.
    #[command(after_help = watch::EXAMPLES)]
    Watch(watch::WatchArgs),
    /// Show what the server has done and what it holds.
    #[command(after_help = stats::EXAMPLES)]
    Stats(stats::StatsArgs),
    /// Ask whether the server accepts calls.
    Health(health::HealthArgs),
}

/// Runs a command to a server to its end. The output goes to stdout, and errors go to stderr.
pub async fn run(command: ClientCommand) -> ExitCode {
    let (connection, retry) = (command.connection().clone(), command.retry());
    command.run().await.unwrap_or_else(|failure| {
        if let Some(message) = failure.message(&connection, retry) {
            output::print_to_stderr(&message);
        }
        failure.exit_code()
    })
}

impl ClientCommand {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Put(args) => args.run().await,
            Self::Get(args) => args.run().await,
            Self::Fetch(args) => args.run().await,
            Self::Abandon(args) => args.run().await,
            Self::Invalidate(args) => args.run().await,
            Self::Watch(args) => args.run().await,
            Self::Stats(args) => args.run().await,
            Self::Health(args) => args.run().await,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Put(_) => Retry::CheckFirst,
            Self::Get(_)
            | Self::Fetch(_)
            | Self::Abandon(_)
            | Self::Invalidate(_)
            | Self::Watch(_)
            | Self::Stats(_)
            | Self::Health(_) => Retry::Harmless,
        }
    }

    fn connection(&self) -> &connection::ConnectionArgs {
        match self {
            Self::Put(args) => &args.connection,
            Self::Get(args) => &args.connection,
            Self::Fetch(args) => &args.connection,
            Self::Abandon(args) => &args.connection,
            Self::Invalidate(args) => &args.connection,
            Self::Watch(args) => &args.connection,
            Self::Stats(args) => &args.connection,
            Self::Health(args) => &args.connection,
        }
    }
}

#[cfg(test)]
fn parsed(line: &str) -> Result<ClientCommand, clap::Error> {
    match typed::read::<Cli, _>(line.split_whitespace())?.command {
        Command::Client(command) => Ok(command),
        command => panic!("{command:?} is not a client command"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn declaration_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn server_and_timeout_are_taken_by_every_client_command() {
        for command in [
            "put aws reader --ttl 1h",
            "get aws reader",
            "fetch aws reader --ttl 1h CMD",
            "abandon aws reader --lease 00ff",
            "invalidate aws --all",
            "watch aws",
            "stats",
            "health",
        ] {
            // A command to run comes last, after `--`.
            let (command, end) = match command.strip_suffix(" CMD") {
                Some(command) => (command, "-- true"),
                None => (command, ""),
            };
            let line =
                format!("credcache {command} --server unix:/run/c.sock --timeout 250ms {end}");
            let connection = parsed(&line).unwrap().connection().clone();
            assert_eq!(connection.server.to_string(), "unix:/run/c.sock");
            assert_eq!(connection.timeout.as_millis(), 250);

            for wrong in ["--server nowhere", "--timeout 0s", "--timeout soon"] {
                assert!(
                    parsed(&format!("credcache {command} {wrong} {end}")).is_err(),
                    "{wrong}"
                );
            }
        }
    }
}
