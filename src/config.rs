//! What the operator typed, turned into a configuration that holds.
//!
//! Flags win over the environment (`CREDCACHE_*`), that over the TOML file,
//! and that over the defaults. Whatever is unknown or out of bounds is refused
//! by name, all of it at once, before anything else of the server starts. This
//! is the only reader of the environment.

mod args;
mod error;
mod listen;
mod raw;
mod render;
mod setting;
#[cfg(test)]
mod tests;
mod valid;
mod value;

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::PathBuf,
    time::Duration,
};

pub use args::{CheckConfigArgs, ServeArgs};
pub use error::{ConfigErrors, SettingError};
pub use listen::ListenAddr;
pub(crate) use listen::is_loopback;

use self::{error::Origin, raw::Raw};
use credcache_core::{self, TierSpec};

/// The variable that names the file, where `--config` doesn't.
const FILE_VARIABLE: &str = "CREDCACHE_CONFIG";

/// The server's settings. Whoever holds one needn't check anything again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; never empty.
    pub listen: Vec<ListenAddr>,
    /// Plaintext is allowed on addresses other hosts can reach.
    pub insecure: bool,
    /// Who may connect to the Unix sockets.
    pub unix: UnixAccess,
    /// How many threads serve connections; never zero.
    pub workers: u32,
    /// The lifetime classes: 1 to 16, with distinct names and lifetimes, in the
    /// order they were typed.
    pub tiers: Vec<TierSpec>,
    /// What one client, or all of them, may take.
    pub limits: Limits,
    /// How long in-flight calls may go on after the signal to stop.
    pub drain_timeout: Duration,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// Who may connect to the Unix sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixAccess {
    /// The permissions of their files, at most 0o777. The owner has them all.
    pub mode: u32,
    /// The group of their files; that of the process, if none.
    pub group: Option<Group>,
}

/// A group of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// Its number.
    Id(u32),
    /// Its name, which is looked up when the socket is made.
    Name(String),
}

/// Bounds on what clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What the cache holds and remembers.
    pub cache: credcache_core::Limits,
    /// How many connections may be open at once, over all listeners.
    pub max_connections: u32,
    /// How many calls one connection may have in flight.
    pub max_streams: u32,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The form of a line.
    pub format: LogFormat,
    /// A filter that `tracing_subscriber::EnvFilter` accepts.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the file, the environment and the flags.
    ///
    /// # Errors
    /// Every setting that is unknown, malformed or out of bounds.
    pub fn load(args: &ServeArgs) -> Result<Self, ConfigErrors> {
        let environment = environment();
        let file = read_file(args, &environment)?;
        Self::from_sources(file.as_deref(), environment, args)
    }

    /// The same from what was read already: the file's text, the variables and
    /// the flags.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn from_sources(
        file: Option<&str>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        args: &ServeArgs,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let raw = Raw::gather(file, environment, args, &mut errors);
        let config = valid::validate(&raw, &mut errors);
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors::new(errors))
        }
    }
}

/// The effective configuration as TOML, for `credcache check-config`.
///
/// # Errors
/// As for [`Config::load`].
pub fn check(args: &CheckConfigArgs) -> Result<String, ConfigErrors> {
    let args = ServeArgs {
        config: args.config.clone(),
        ..ServeArgs::default()
    };
    Config::load(&args).map(|config| config.to_toml())
}

fn read_file(
    args: &ServeArgs,
    environment: &[(OsString, OsString)],
) -> Result<Option<String>, ConfigErrors> {
    let variable = || {
        let mut set = environment.iter().filter(|(_, value)| !value.is_empty());
        let (_, path) = set.find(|(name, _)| name == FILE_VARIABLE)?;
        Some((PathBuf::from(path), Origin::Variable(FILE_VARIABLE.into())))
    };
    let flag = args
        .config
        .clone()
        .map(|path| (path, Origin::Flag("--config")));
    let Some((path, origin)) = flag.or_else(variable) else {
        return Ok(None);
    };
    fs::read_to_string(&path).map(Some).map_err(|error| {
        ConfigErrors::new(vec![SettingError {
            setting: "config".into(),
            origin,
            problem: format!("{} can't be read: {error}", path.display()),
            accepts: "the path of a TOML file",
        }])
    })
}

/// A variable of a client command that counts as unset, as it does for the
/// server.
pub(crate) fn is_set_but_empty(variable: &OsStr) -> bool {
    environment()
        .iter()
        .any(|(name, value)| name == variable && value.is_empty())
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}
