//! The program as a sequence: arguments, configuration, telemetry, runtime, run.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use credcache::{
    cli::{self, Command},
    config::{self, CheckConfigArgs, Config, ServeArgs},
    server::{self, ServeError},
    telemetry,
};
use tokio::runtime::Builder;
use tracing::{Level, enabled, error, info, warn};

/// Returns the memory of expired credentials to the system.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The settings that the allocator was built with. They come from `.cargo/config.toml`, which cargo
/// reads only if it is started below the repository's directory.
const ALLOCATOR_SETTINGS: Option<&str> = option_env!("JEMALLOC_SYS_WITH_MALLOC_CONF");

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
    if ALLOCATOR_SETTINGS.is_none() {
        warn!(
            "built without the allocator settings of .cargo/config.toml: \
             the memory of expired credentials will return to the system late"
        );
    }
    let code = match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if enabled!(Level::ERROR) {
                error!(%error, "can't serve");
            } else {
                telemetry::print(format_args!("credcache: {error}"));
            }
            ExitCode::from(EXIT_SOFTWARE)
        }
    };
    telemetry::flush();
    code
}

fn run(config: &Config) -> Result<(), ServeError> {
    // This runtime accepts connections, handles signals and drains; workers have their own.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Thread)?;
    let outcome = runtime.block_on(server::serve(config));
    // A slow name resolution must not delay the end of the process.
    runtime.shutdown_background();
    outcome
}

fn check_config(args: &CheckConfigArgs) -> ExitCode {
    match config::check(args) {
        Ok(toml) => match io::stdout().write_all(toml.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(
                EXIT_SOFTWARE,
                &format!("can't print the configuration: {error}"),
            ),
        },
        Err(errors) => fail(EXIT_USAGE, &errors),
    }
}

fn block_on(command: impl Future<Output = ExitCode>) -> ExitCode {
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(command);
            // A blocked read or write of stdio must not delay the end of the process.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(EXIT_SOFTWARE, &error),
    }
}

/// Reports an error on stderr, because the log isn't set up yet. If stderr can't be written, only
/// the exit code reports the error.
fn fail(code: u8, error: &dyn Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "credcache: {error}");
    ExitCode::from(code)
}
