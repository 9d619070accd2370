//! A list of tables in the file, such as `[[tier]]`: each of its tables has the
//! same settings.

use toml::{Table, Value};

use super::{
    error::{Origin, SettingError},
    setting::Setting,
};

/// A list of tables, each of which is read into an `Item`.
pub(super) struct Tables<Item: 'static> {
    /// The name of the list in the file.
    pub(super) name: &'static str,
    /// What the list is, in one phrase.
    pub(super) text: &'static str,
    /// What it accepts.
    pub(super) accepts: &'static str,
    /// The list where the file has none, in words.
    pub(super) default: &'static str,
    /// The settings of a table.
    pub(super) settings: &'static [Setting<Item>],
    /// The settings that every table needs.
    pub(super) required: &'static [&'static str],
    /// A table whose values serve as examples.
    pub(super) usual: fn() -> Item,
}

impl<Item: Default> Tables<Item> {
    /// Reads the tables. An item whose settings are wrong has their defaults,
    /// and an error for each.
    pub(super) fn read(&self, tables: &[Table], errors: &mut Vec<SettingError>) -> Vec<Item> {
        let tables = tables.iter().enumerate();
        tables
            .map(|(index, table)| self.read_table(index, table, errors))
            .collect()
    }

    fn read_table(&self, index: usize, table: &Table, errors: &mut Vec<SettingError>) -> Item {
        let is_setting = |name: &str| self.settings.iter().any(|setting| setting.path() == name);
        for name in table.keys().filter(|name| !is_setting(name)) {
            errors.push(SettingError {
                setting: format!("{}[{index}].{}", self.name, name.escape_debug()),
                origin: Origin::File,
                problem: "is no setting".into(),
                accepts: self.accepts.into(),
            });
        }
        let mut item = Item::default();
        for setting in self.settings {
            let outcome = match table.get(setting.path()) {
                Some(value) => setting.read(value, &mut item),
                None if self.required.contains(&setting.path()) => Err("is missing".into()),
                None => Ok(()),
            };
            if let Err(problem) = outcome {
                errors.push(self.error(index, setting.path(), problem));
            }
        }
        item
    }

    /// An error of the setting `name` in the table at `index`.
    pub(super) fn error(&self, index: usize, name: &str, problem: String) -> SettingError {
        let mut settings = self.settings.iter();
        let setting = settings.find(|setting| setting.path() == name);
        SettingError {
            setting: format!("{}[{index}].{name}", self.name),
            origin: Origin::File,
            problem,
            accepts: setting.map_or_else(
                || self.accepts.into(),
                |setting| setting.accepts(&(self.usual)()),
            ),
        }
    }

    /// An error of the list as a whole.
    pub(super) fn error_of_all(&self, problem: String) -> SettingError {
        SettingError {
            setting: self.name.into(),
            origin: Origin::File,
            problem,
            accepts: self.accepts.into(),
        }
    }

    /// The settings of a table and their values, as [`read`](Self::read) reads
    /// them.
    pub(super) fn write(&self, item: &Item) -> Vec<(&'static str, Value)> {
        let settings = self.settings.iter();
        settings
            .filter_map(|setting| Some((setting.path(), setting.write(item)?)))
            .collect()
    }
}
