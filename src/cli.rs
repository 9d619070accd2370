//! The command line: what was typed becomes a [`Command`], and the commands for
//! people run here, through the client crate.
//!
//! Guarantees the exit codes that scripts rely on. `serve` and `check-config`
//! are left to the caller.

mod abandon;
mod connection;
mod credential;
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
mod shown;
mod stats;
mod supervise;
mod text;
mod typed;
mod value;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, CheckConfigArgs, ServeArgs};

use self::failure::{Again, Failure};
pub use self::supervise::{SuperviseArgs, supervise};

/// A gRPC cache for the short-lived credentials of a service mesh.
#[derive(Debug, Parser)]
#[command(name = "credcache", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Parses the program's arguments.
///
/// # Errors
/// The exit code for arguments that can't be parsed, and for `--help` and
/// `--version`, whose text is printed.
pub fn parse() -> Result<Cli, ExitCode> {
    typed::parse()
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done; get: a hit; fetch: a credential; health: serving
  1   get: a miss; health: not serving
  64  the command line or what was passed in it is wrong
  69  the server can't be reached, or is draining
  70  anything else; fetch: its command failed
  75  fetch: not now: fetching it failed a moment ago, or somebody else is at it
  129, 130, 131, 143  fetch: ended by SIGHUP, SIGINT, SIGQUIT, SIGTERM";

/// What the program can do.
#[derive(Debug, Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one, and it is moved twice"
)]
pub enum Command {
    /// Run the server.
    #[command(after_help = "Settings without a flag: credcache check-config --help")]
    Serve(ServeArgs),
    /// Check the server's configuration without starting it.
    #[command(after_help = config::help())]
    CheckConfig(CheckConfigArgs),
    /// Stand between `fetch` and its command.
    #[command(name = supervise::NAME, hide = true)]
    Supervise(SuperviseArgs),
    /// A command to a server that runs.
    #[command(flatten)]
    Client(ClientCommand),
}

/// The commands to a server that runs.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Store a credential; its value is read from stdin or a file.
    #[command(after_help = put::EXAMPLES)]
    Put(put::PutArgs),
    /// Print a credential's value to stdout.
    #[command(after_help = get::EXAMPLES)]
    Get(get::GetArgs),
    /// Print a credential's value; if there is none, run a command that fetches it
    /// for everybody.
    #[command(after_help = fetch::EXAMPLES)]
    Fetch(fetch::FetchArgs),
    /// Give back a lease that won't be used.
    #[command(after_help = abandon::EXAMPLES)]
    Abandon(abandon::AbandonArgs),
    /// Revoke credentials by key, key prefix or tag, or all of a namespace.
    #[command(after_help = invalidate::EXAMPLES)]
    Invalidate(invalidate::InvalidateArgs),
    /// Print what changes in a namespace, as it changes.
    #[command(after_help = watch::EXAMPLES)]
    Watch(watch::WatchArgs),
    /// Show what the server has done and what it holds.
    #[command(after_help = stats::EXAMPLES)]
    Stats(stats::StatsArgs),
    /// Ask whether the server takes calls.
    Health(health::HealthArgs),
}

/// Runs a command to a server to its end, with its output on stdout and what
/// went wrong on stderr.
pub async fn run(command: ClientCommand) -> ExitCode {
    let (connection, again) = (command.connection().clone(), command.again());
    command.run().await.unwrap_or_else(|failure| {
        if let Some(message) = failure.message(&connection, again) {
            output::complain(&message);
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

    fn again(&self) -> Again {
        match self {
            Self::Put(_) => Again::LookFirst,
            Self::Get(_)
            | Self::Fetch(_)
            | Self::Abandon(_)
            | Self::Invalidate(_)
            | Self::Watch(_)
            | Self::Stats(_)
            | Self::Health(_) => Again::Harmless,
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
        command => panic!("{command:?} is no client command"),
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
