//! What was typed: each setting's value from the source that wins, unchecked.
//!
//! Refuses names that are no setting; leaves values to `valid`.

use std::{collections::BTreeMap, ffi::OsString};

use toml::{Table, Value};

use super::{
    args::ServeArgs,
    error::{Origin, SettingError},
    setting::Setting,
};

/// What was typed, by setting.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) values: BTreeMap<Setting, Typed>,
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
    /// Collects the sources, each over the ones below it.
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
            if name == "tier" {
                self.read_tiers(value, errors);
            } else if Setting::is_section(&name) {
                self.read_section(&name, value, errors);
            } else {
                self.insert(&name, value, errors);
            }
        }
    }

    fn read_section(&mut self, section: &str, value: Value, errors: &mut Vec<SettingError>) {
        let Value::Table(table) = value else {
            return errors.push(in_file(section, "isn't a table", "a table of settings"));
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
            errors.push(in_file("tier", "isn't a list of tables", "[[tier]] tables"));
        }
        self.tiers = tables;
    }

    fn insert(&mut self, path: &str, value: Value, errors: &mut Vec<SettingError>) {
        match Setting::at_path(path) {
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
            let problem = match (Setting::of_variable(&name), value.into_string()) {
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
                accepts: "CREDCACHE_CONFIG, CREDCACHE_LISTEN, CREDCACHE_INSECURE, CREDCACHE_UNIX_…, CREDCACHE_WORKERS, \
                          CREDCACHE_LIMITS_…, CREDCACHE_LEASES_…, \
                          CREDCACHE_SHUTDOWN_…, CREDCACHE_LOG_…, in UTF-8",
            });
        }
    }

    fn read_flags(&mut self, args: &ServeArgs) {
        if !args.listen.is_empty() {
            let addresses = args.listen.iter().cloned().map(Value::String).collect();
            self.set(
                Setting::Listen,
                Value::Array(addresses),
                Origin::Flag("--listen"),
            );
        }
        if args.insecure {
            self.set(
                Setting::Insecure,
                Value::Boolean(true),
                Origin::Flag("--insecure"),
            );
        }
        let texts = [
            (
                Setting::DrainTimeout,
                &args.drain_timeout,
                "--drain-timeout",
            ),
            (Setting::UnixMode, &args.unix_mode, "--unix-mode"),
            (Setting::UnixGroup, &args.unix_group, "--unix-group"),
            (Setting::LogFormat, &args.log_format, "--log-format"),
            (Setting::LogLevel, &args.log_level, "--log-level"),
        ];
        for (setting, text, flag) in texts {
            if let Some(text) = text {
                self.set(setting, Value::String(text.clone()), Origin::Flag(flag));
            }
        }
    }

    fn set(&mut self, setting: Setting, value: Value, origin: Origin) {
        self.values.insert(setting, Typed { value, origin });
    }
}

/// Whether a `CREDCACHE_*` variable is no attempt at a setting.
///
/// `CREDCACHE_CONFIG` was read before the file, and `CREDCACHE_SERVER` is the
/// client commands'. Kubernetes gives every pod the address of every Service
/// of its namespace: for one called credcache as `CREDCACHE_SERVICE_HOST`,
/// `CREDCACHE_SERVICE_PORT[_NAME]`, `CREDCACHE_PORT` and `CREDCACHE_PORT_…`;
/// for credcache-metrics as `CREDCACHE_METRICS_…` alike. Refusing those would
/// keep the server from starting wherever it has a Service.
fn belongs_to_others(name: &str) -> bool {
    matches!(name, "CREDCACHE_CONFIG" | "CREDCACHE_SERVER")
        || name.ends_with("_SERVICE_HOST")
        || name.split('_').any(|word| word == "PORT")
}

fn known_names() -> &'static str {
    "listen, insecure, workers, [unix] mode, group, [limits] max_value, max_namespaces, max_connections, max_streams, \
     max_leases, max_waiters, max_revocations, max_watchers, max_journal, [leases] ttl, [shutdown] drain_timeout, [log] format, level, [[tier]] name, max_ttl, capacity"
}

fn in_file(path: &str, problem: &str, accepts: &'static str) -> SettingError {
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
        accepts: "TOML",
    }
}
