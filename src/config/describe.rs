//! The table of settings in words: for `--help` and for README.

use std::fmt::Write;

use toml::Value;

use super::{
    form::Flag,
    setting::Setting,
    settings::{Config, LISTS, SETTINGS},
};

/// The help of a setting's flag.
pub(super) fn flag(setting: &Setting<Config>, defaults: &Config) -> String {
    let (text, variable) = (setting.text(), setting.variable());
    let default = default(setting, defaults, as_argument);
    let repeatable = match setting.flag_form() {
        Flag::Switch => return format!("{text} [env: {variable}]"),
        Flag::One(_) => "",
        Flag::Repeatable(_) => "; for a list, the flag is repeated",
    };
    let accepts = setting.accepts(defaults);
    format!("{text}. Accepts {accepts}{repeatable} [env: {variable}] [default: {default}]")
}

/// Every setting, for the help of `check-config`.
pub(crate) fn help() -> String {
    let defaults = Config::default();
    let mut help = "Settings, by their place in the file:\n".to_owned();
    for setting in SETTINGS {
        let (variable, accepts) = (setting.variable(), setting.accepts(&defaults));
        let default = default(setting, &defaults, Value::to_string);
        entry(&mut help, setting.path(), setting.text(), &accepts);
        let _ = writeln!(help, "      [env: {variable}] [default: {default}]");
    }
    for list in LISTS.iter().map(|list| list.tables) {
        let name = format!("[[{}]]", list.name());
        entry(&mut help, &name, list.text(), list.accepts());
        let _ = writeln!(help, "      [default: {}]", list.default());
        for row in list.rows() {
            entry(
                &mut help,
                &format!("{name} {}", row.name),
                row.text,
                &row.accepts,
            );
        }
    }
    help
}

fn entry(help: &mut String, path: &str, text: &str, accepts: &str) {
    let _ = writeln!(help, "  {path}\n      {text}. Accepts {accepts}.");
}

/// A value as it is typed after a flag.
fn as_argument(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(as_argument).collect::<Vec<_>>().join(" "),
        value => value.to_string(),
    }
}

/// The default in words, or as `shown` writes it.
fn default(
    setting: &Setting<Config>,
    defaults: &Config,
    shown: impl Fn(&Value) -> String,
) -> String {
    match (setting.default_in_words(), setting.write(defaults)) {
        (Some(words), _) => words.to_owned(),
        (None, Some(value)) => shown(&value),
        (None, None) => String::new(),
    }
}
