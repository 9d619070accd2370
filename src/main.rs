//! A sequence: arguments, configuration, telemetry, runtime, run.

use std::process::ExitCode;

use clap::Parser;
use credcache::{
    config::{self, CheckConfigArgs, Config, ServeArgs},
    server, telemetry,
};
use tonic::service::Routes;
use tracing::{error, info};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The configuration is wrong.
const EXIT_USAGE: u8 = 64;
/// The server couldn't start.
const EXIT_SOFTWARE: u8 = 70;

/// A gRPC cache for the short-lived credentials of a service mesh.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Run the server.
    Serve(ServeArgs),
    /// Print the effective configuration.
    CheckConfig(CheckConfigArgs),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Serve(args) => serve(&args),
        Command::CheckConfig(args) => check_config(&args),
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
    info!(
        version = env!("CARGO_PKG_VERSION"),
        tiers = ?config.tiers,
        "starting"
    );
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_SOFTWARE, &error),
    };
    match runtime.block_on(server::serve(&config, Routes::default())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "not serving");
            ExitCode::from(EXIT_SOFTWARE)
        }
    }
}

#[allow(clippy::print_stdout, reason = "the command's output")]
fn check_config(args: &CheckConfigArgs) -> ExitCode {
    match config::check(args) {
        Ok(toml) => {
            print!("{toml}");
            ExitCode::SUCCESS
        }
        Err(errors) => fail(EXIT_USAGE, &errors),
    }
}

#[allow(clippy::print_stderr, reason = "there is no log yet")]
fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(code)
}
