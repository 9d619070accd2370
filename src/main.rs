//! A sequence: arguments, configuration, telemetry, runtime, run.

use std::{fmt::Display, process::ExitCode};

use credcache::{
    cli::{self, Command},
    config::{self, CheckConfigArgs, Config, ServeArgs},
    server, telemetry,
};
use tokio::runtime::Builder;
use tracing::{Level, enabled, error, info};

/// Gives the memory that expired credentials leave back to the system.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The configuration is wrong.
const EXIT_USAGE: u8 = 64;
/// The server couldn't start.
const EXIT_SOFTWARE: u8 = 70;

fn main() -> ExitCode {
    let command = match cli::parse() {
        Ok(cli) => cli.command,
        Err(code) => return code,
    };
    match command {
        Command::Serve(args) => serve(&args),
        Command::CheckConfig(args) => check_config(&args),
        Command::Supervise(args) => block_on(cli::supervise(args)),
        Command::Client(command) => block_on(cli::run(command)),
    }
}

fn serve(args: &ServeArgs) -> ExitCode {
    let config = match Config::load(args) {
        Ok(config) => config,
        Err(errors) => return fail(EXIT_USAGE, &errors),
    };
    if let Err(error) = telemetry::init(&config.log) {
        return fail(EXIT_SOFTWARE, &error);
    }
    info!(version = env!("CARGO_PKG_VERSION"), tiers = ?config.tiers, "starting");
    // For what isn't a call: accepting, signals, the drain.
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_SOFTWARE, &error),
    };
    match runtime.block_on(server::serve(&config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !enabled!(Level::ERROR) {
                return fail(EXIT_SOFTWARE, &error);
            }
            error!(%error, "not serving");
            ExitCode::from(EXIT_SOFTWARE)
        }
    }
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn check_config(args: &CheckConfigArgs) -> ExitCode {
    match config::check(args) {
        Ok(toml) => {
            print!("{toml}");
            ExitCode::SUCCESS
        }
        Err(errors) => fail(EXIT_USAGE, &errors),
    }
}

fn block_on(command: impl Future<Output = ExitCode>) -> ExitCode {
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(command);
            // A line that nobody reads must not keep it from ending.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(EXIT_SOFTWARE, &error),
    }
}

#[expect(clippy::print_stderr, reason = "where there is no log")]
fn fail(code: u8, error: &dyn Display) -> ExitCode {
    eprintln!("credcache: {error}");
    ExitCode::from(code)
}
