//! The flags of the commands that read the configuration.
//!
//! Their values stay text here, so that a wrong value is reported together with the errors of the
//! file and the environment.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, error};
use toml::Value;

use super::{
    describe,
    form::Flag,
    setting::Setting,
    settings::{Config, SETTINGS},
};

/// Flags of `credcache serve`.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    /// Read settings from this TOML file [env: CREDCACHE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Flags that set one setting each.
    #[command(flatten)]
    pub(super) flags: Flags,
}

/// Flags of `credcache check-config`.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckConfigArgs {
    /// Check this TOML file [env: CREDCACHE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What was typed after the flags of the table of settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Flags(BTreeMap<&'static str, Value>);

impl Flags {
    /// What was typed for a setting, unchecked.
    pub(super) fn value(&self, setting: &Setting<Config>) -> Option<Value> {
        self.0.get(setting.path()).cloned()
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let defaults = Config::default();
        command.args(
            SETTINGS
                .iter()
                .filter_map(|setting| arg(setting, &defaults)),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, error::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), error::Error> {
        for setting in SETTINGS.iter().filter(|setting| setting.flag().is_some()) {
            let path = setting.path();
            let text = || matches.get_one::<String>(path).cloned();
            let value = match setting.flag_form() {
                Flag::Switch => matches.get_flag(path).then_some(Value::Boolean(true)),
                Flag::One(_) => text().map(Value::String),
                Flag::Repeatable(_) => matches.get_many::<String>(path).map(|texts| {
                    let texts = texts.cloned().map(Value::String);
                    Value::Array(texts.collect())
                }),
            };
            if let Some(value) = value {
                self.0.insert(path, value);
            }
        }
        Ok(())
    }
}

fn arg(setting: &'static Setting<Config>, defaults: &Config) -> Option<Arg> {
    let long = setting.flag()?.trim_start_matches('-');
    let arg = Arg::new(setting.path())
        .long(long)
        .help(describe::flag(setting, defaults));
    Some(match setting.flag_form() {
        Flag::Switch => arg.action(ArgAction::SetTrue),
        Flag::One(name) => arg.value_name(name),
        Flag::Repeatable(name) => arg.value_name(name).action(ArgAction::Append),
    })
}
