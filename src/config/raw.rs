//! The typed values, unchecked: for each setting, the value from the source that wins.
//!
//! Unknown names are refused here; values are read in `valid`.

use std::{collections::BTreeMap, ffi::OsString};

use toml::{Table, Value};

use super::{
    args::ServeArgs,
    error::{Origin, SettingError},
    setting::Setting,
    settings::{Config, LISTS, SETTINGS},
};

/// The typed values.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// The values, by the path of their setting.
    pub(super) values: BTreeMap<&'static str, Typed>,
    /// The tables of the lists in the file, by the name of the list.
    pub(super) lists: BTreeMap<&'static str, Vec<Table>>,
}

/// A value and its origin.
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
            let mut lists = LISTS.iter().map(|list| list.tables.name());
            if let Some(list) = lists.find(|list| *list == name) {
                self.read_list(list, value, errors);
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

    fn read_list(&mut self, list: &'static str, value: Value, errors: &mut Vec<SettingError>) {
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
        match tables {
            Some(tables) => drop(self.lists.insert(list, tables)),
            None => {
                let accepts = format!("[[{list}]] tables");
                errors.push(in_file(list, "isn't a list of tables", accepts));
            }
        }
    }

    fn insert(&mut self, path: &str, value: Value, errors: &mut Vec<SettingError>) {
        match SETTINGS.iter().find(|setting| setting.path() == path) {
            Some(setting) => self.set(setting, value, Origin::File),
            None => errors.push(in_file(path, "is not a setting", known_names())),
        }
    }

    fn read_environment(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        errors: &mut Vec<SettingError>,
    ) {
        for (name, value) in environment {
            let name = name.to_string_lossy();
            // A variable that is set but empty counts as unset, as in a shell's `${NAME:-…}`.
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
                (None, _) => "is not a setting",
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
/// `CREDCACHE_CONFIG` was read before the file, and `CREDCACHE_SERVER` belongs to the client
/// commands. Kubernetes gives every pod the address of every Service of its namespace. For a
/// Service called credcache, the variables are `CREDCACHE_SERVICE_HOST`,
/// `CREDCACHE_SERVICE_PORT[_NAME]`, `CREDCACHE_PORT` and `CREDCACHE_PORT_…`; for credcache-metrics,
/// they begin with `CREDCACHE_METRICS_…`. If these were refused, the server could not start
/// wherever it has a Service.
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
    for list in LISTS {
        let of_a_table: Vec<_> = list.tables.rows().iter().map(|row| row.name).collect();
        let list = list.tables.name();
        names.push(format!("[[{list}]] {}", of_a_table.join(", ")));
    }
    names.join(", ")
}

/// The variables that the environment may have, with one entry for each section.
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
