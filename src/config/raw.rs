//! What was typed: the value of each setting from the source that wins, unchecked.
//!
//! Names that are no setting are refused here; values are read in `valid`.

use std::{collections::BTreeMap, ffi::OsString};

use toml::{Table, Value};

use super::{
    args::ServeArgs,
    error::{Origin, SettingError},
    setting::Setting,
    settings::{Config, SETTINGS},
    tiers::TIERS,
};

/// What was typed.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// The values, by the path of their setting.
    pub(super) values: BTreeMap<&'static str, Typed>,
    /// The `[[tier]]` tables, if there are any.
    pub(super) tiers: Option<Vec<Table>>,
}

/// A value, and where it was typed.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Raw {
    /// Collects the sources in order, so that each overrides the ones before.
    pub(super) fn gather(
        file: Option<&str>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        args: &ServeArgs,
        errors: &mut Vec<SettingError>,
    ) -> Self {
        let mut raw = Self::default();
        if let Some(text) = file {
            raw.read_file(text, errors);
        }
        raw.read_environment(environment, errors);
        raw.read_flags(args);
        raw
    }

    fn read_file(&mut self, text: &str, errors: &mut Vec<SettingError>) {
        let table = match text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => return errors.push(syntax_error(text, &error)),
        };
        for (name, value) in table {
            if name == TIERS.name {
                self.read_tiers(value, errors);
            } else if is_section(&name) {
                self.read_section(&name, value, errors);
            } else {
                self.insert(&name, value, errors);
            }
        }
    }

    fn read_section(&mut self, section: &str, value: Value, errors: &mut Vec<SettingError>) {
        let Value::Table(table) = value else {
            return errors.push(in_file(
                section,
                "isn't a table",
                "a table of settings".into(),
            ));
        };
        for (name, value) in table {
            self.insert(&format!("{section}.{name}"), value, errors);
        }
    }

    fn read_tiers(&mut self, value: Value, errors: &mut Vec<SettingError>) {
        let tables: Option<Vec<Table>> = match value {
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::Table(table) => Some(table),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        if tables.is_none() {
            let accepts = format!("[[{}]] tables", TIERS.name);
            errors.push(in_file(TIERS.name, "isn't a list of tables", accepts));
        }
        self.tiers = tables;
    }

    fn insert(&mut self, path: &str, value: Value, errors: &mut Vec<SettingError>) {
        match SETTINGS.iter().find(|setting| setting.path() == path) {
            Some(setting) => self.set(setting, value, Origin::File),
            None => errors.push(in_file(path, "is no setting", known_names())),
        }
    }

    fn read_environment(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        errors: &mut Vec<SettingError>,
    ) {
        for (name, value) in environment {
            let name = name.to_string_lossy();
            // Set but empty counts as unset, as it does for shells' `${NAME:-…}`.
            if !name.starts_with("CREDCACHE_") || value.is_empty() || belongs_to_others(&name) {
                continue;
            }
            let origin = Origin::Variable(name.to_string());
            let setting = SETTINGS.iter().find(|setting| setting.variable() == name);
            let problem = match (setting, value.into_string()) {
                (Some(setting), Ok(text)) => {
                    self.set(setting, Value::String(text), origin);
                    continue;
                }
                (Some(_), Err(_)) => "isn't UTF-8",
                (None, _) => "is no setting",
            };
            errors.push(SettingError {
                setting: name.escape_debug().to_string(),
                origin,
                problem: problem.into(),
                accepts: known_variables(),
            });
        }
    }

    fn read_flags(&mut self, args: &ServeArgs) {
        for (setting, flag) in SETTINGS.iter().filter_map(|s| Some((s, s.flag()?))) {
            if let Some(value) = args.flags.value(setting) {
                self.set(setting, value, Origin::Flag(flag));
            }
        }
    }

    fn set(&mut self, setting: &Setting<Config>, value: Value, origin: Origin) {
        self.values.insert(setting.path(), Typed { value, origin });
    }
}

/// Whether a `CREDCACHE_*` variable is not meant as a setting.
///
/// `CREDCACHE_CONFIG` was read before the file, and `CREDCACHE_SERVER` belongs
/// to the client commands. Kubernetes gives every pod the address of every
/// Service of its namespace: for one called credcache as `CREDCACHE_SERVICE_HOST`,
/// `CREDCACHE_SERVICE_PORT[_NAME]`, `CREDCACHE_PORT` and `CREDCACHE_PORT_…`;
/// for credcache-metrics as `CREDCACHE_METRICS_…` alike. Refusing those would
/// keep the server from starting wherever it has a Service.
fn belongs_to_others(name: &str) -> bool {
    matches!(name, "CREDCACHE_CONFIG" | "CREDCACHE_SERVER")
        || name.ends_with("_SERVICE_HOST")
        || name.split('_').any(|word| word == "PORT")
}

/// Whether `name` is a table of settings in the file.
fn is_section(name: &str) -> bool {
    let mut sections = SETTINGS.iter().map(|setting| setting.section_and_name().0);
    sections.any(|section| section == Some(name))
}

/// The names that the file may have: `listen, …, [limits] max_value, …`.
fn known_names() -> String {
    let mut names = Vec::new();
    let mut last = None;
    for setting in SETTINGS {
        let (section, name) = setting.section_and_name();
        names.push(match section {
            Some(section) if last != Some(section) => format!("[{section}] {name}"),
            _ => name.to_owned(),
        });
        last = section;
    }
    let of_a_tier: Vec<_> = TIERS.settings.iter().map(Setting::path).collect();
    names.push(format!("[[{}]] {}", TIERS.name, of_a_tier.join(", ")));
    names.join(", ")
}

/// The variables that the environment may have, those of a section in one.
fn known_variables() -> String {
    let mut names = vec!["CREDCACHE_CONFIG".to_owned()];
    for setting in SETTINGS {
        let name = match setting.section_and_name() {
            (Some(section), _) => format!("CREDCACHE_{}_…", section.to_ascii_uppercase()),
            (None, _) => setting.variable(),
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    format!("{}, in UTF-8", names.join(", "))
}

fn in_file(path: &str, problem: &str, accepts: String) -> SettingError {
    SettingError {
        setting: path.escape_debug().to_string(),
        origin: Origin::File,
        problem: problem.into(),
        accepts,
    }
}

fn syntax_error(text: &str, error: &toml::de::Error) -> SettingError {
    let start = error.span().map_or(0, |span| span.start);
    let line = text
        .bytes()
        .take(start)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1;
    SettingError {
        setting: format!("line {line}"),
        origin: Origin::File,
        problem: error.message().replace('\n', ", "),
        accepts: "TOML".into(),
    }
}
