//! The server's configuration, from flags, environment variables and a TOML file.
//!
//! A flag wins over the environment (`CREDCACHE_*`), the environment over the file, and the file
//! over the defaults. Unknown settings and values out of bounds are refused by name, all at once,
//! before the server starts anything else. This module is the only reader of the environment.

mod args;
mod describe;
mod error;
mod form;
mod listen;
mod log;
mod raw;
mod render;
mod setting;
mod settings;
mod tables;
#[cfg(test)]
mod tests;
mod tiers;
mod unix;
mod valid;

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::PathBuf,
};

pub use self::{
    args::{CheckConfigArgs, ServeArgs},
    error::{ConfigErrors, SettingError},
    listen::ListenAddr,
    log::LogFormat,
    settings::{Config, Limits, LogConfig, UnixAccess},
    unix::Group,
};
pub(crate) use self::{describe::help, listen::is_loopback};

use self::{error::Origin, raw::Raw};

/// The variable that names the file if `--config` isn't given.
const FILE_VARIABLE: &str = "CREDCACHE_CONFIG";

impl Config {
    /// Reads the file, the environment and the flags.
    ///
    /// # Errors
    /// All settings that are unknown, malformed or out of bounds.
    pub fn load(args: &ServeArgs) -> Result<Self, ConfigErrors> {
        let environment = environment();
        let file = read_file(args, &environment)?;
        Self::from_sources(file.as_deref(), environment, args)
    }

    /// Builds the configuration from the text of the file, the environment variables and the flags.
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
            accepts: "the path of a TOML file".into(),
        }])
    })
}

/// Whether a variable is set to the empty text, which counts as unset.
pub(crate) fn is_set_but_empty(variable: &OsStr) -> bool {
    environment()
        .iter()
        .any(|(name, value)| name == variable && value.is_empty())
}

#[allow(
    clippy::disallowed_methods,
    reason = "the only place that reads the environment"
)]
fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}
