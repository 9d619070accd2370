//! The table of settings in words: for `--help` and for README.

use std::fmt::Write;

use toml::Value;

use super::{
    form::Flag,
    setting::Setting,
    settings::{Config, SETTINGS},
    tiers::TIERS,
};

/// The help of a setting's flag.
pub(super) fn flag(setting: &Setting<Config>, usual: &Config) -> String {
    let (text, variable) = (setting.text(), setting.variable());
    let default = default(setting, usual, as_argument);
    let repeatable = match setting.flag_form() {
        Flag::Switch => return format!("{text} [env: {variable}]"),
        Flag::One(_) => "",
        Flag::Repeatable(_) => "; for a list, the flag is repeated",
    };
    let accepts = setting.accepts(usual);
    format!("{text}. Accepts {accepts}{repeatable} [env: {variable}] [default: {default}]")
}

/// Every setting, for the help of `check-config`.
pub(crate) fn help() -> String {
    let usual = Config::default();
    let mut help = "Settings, by their place in the file:\n".to_owned();
    for setting in SETTINGS {
        let default = default(setting, &usual, Value::to_string);
        entry(&mut help, setting.path(), setting, &usual);
        let _ = writeln!(
            help,
            "      [env: {}] [default: {default}]",
            setting.variable()
        );
    }
    let _ = writeln!(
        help,
        "  [[{}]]\n      {}. Accepts {}.",
        TIERS.name, TIERS.text, TIERS.accepts
    );
    let _ = writeln!(help, "      [default: {}]", TIERS.default);
    let usual = (TIERS.usual)();
    for setting in TIERS.settings {
        let path = format!("[[{}]] {}", TIERS.name, setting.path());
        entry(&mut help, &path, setting, &usual);
    }
    help
}

fn entry<Owner>(help: &mut String, path: &str, setting: &Setting<Owner>, usual: &Owner) {
    let (text, accepts) = (setting.text(), setting.accepts(usual));
    let _ = writeln!(help, "  {path}\n      {text}. Accepts {accepts}.");
}

/// A value as it is typed behind a flag.
fn as_argument(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(as_argument).collect::<Vec<_>>().join(" "),
        value => value.to_string(),
    }
}

/// The default in words, or as `shown` writes it.
fn default(setting: &Setting<Config>, usual: &Config, shown: impl Fn(&Value) -> String) -> String {
    match (setting.default_in_words(), setting.write(usual)) {
        (Some(words), _) => words.to_owned(),
        (None, Some(value)) => shown(&value),
        (None, None) => String::new(),
    }
}
