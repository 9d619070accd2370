//! A list of tables in the file, such as `[[tier]]`. All tables of a list have the same settings.

use toml::{Table, Value};

use super::{
    error::{Origin, SettingError},
    setting::Setting,
};

/// A list of tables as it stands in the table of settings.
pub(super) struct List<Owner: 'static> {
    /// The name of the list, and the settings of its tables.
    pub(super) tables: &'static dyn AnyTables,
    /// Reads the tables of the file into the owner, after the owner's own settings.
    pub(super) read: fn(&[Table], &mut Owner, &mut Vec<SettingError>),
    /// Returns the tables of an owner in a form that can be read again.
    pub(super) write: fn(&Owner) -> Vec<Written>,
}

/// The settings of a table, and their values.
pub(super) type Written = Vec<(&'static str, Value)>;

/// A [`Tables`] of any item.
pub(super) trait AnyTables: Sync {
    fn name(&self) -> &'static str;
    fn text(&self) -> &'static str;
    fn accepts(&self) -> &'static str;
    fn default(&self) -> &'static str;
    /// The settings of a table.
    fn rows(&self) -> Vec<Row>;
}

/// A setting of a table.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) accepts: String,
}

impl<Item> AnyTables for Tables<Item> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn text(&self) -> &'static str {
        self.text
    }

    fn accepts(&self) -> &'static str {
        self.accepts
    }

    fn default(&self) -> &'static str {
        self.default
    }

    fn rows(&self) -> Vec<Row> {
        let example = (self.example)();
        let settings = self.settings.iter();
        settings
            .map(|setting| Row {
                name: setting.path(),
                text: setting.text(),
                accepts: setting.accepts(&example),
            })
            .collect()
    }
}

/// A list of tables, each of which is read into an `Item`.
pub(super) struct Tables<Item: 'static> {
    /// The name of the list in the file.
    pub(super) name: &'static str,
    /// What the list is, in one phrase.
    pub(super) text: &'static str,
    /// What the list accepts.
    pub(super) accepts: &'static str,
    /// The default list, in words.
    pub(super) default: &'static str,
    /// The settings of a table.
    pub(super) settings: &'static [Setting<Item>],
    /// The settings that every table needs.
    pub(super) required: &'static [&'static str],
    /// A table whose values serve as examples.
    pub(super) example: fn() -> Item,
}

impl<Item: Default> Tables<Item> {
    /// Reads the tables. A setting with a wrong value keeps its default and adds an error.
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
                problem: "is not a setting".into(),
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
                |setting| setting.accepts(&(self.example)()),
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

    /// The settings of a table and their values, in the form that [`read`](Self::read) reads.
    pub(super) fn write(&self, item: &Item) -> Written {
        let settings = self.settings.iter();
        settings
            .filter_map(|setting| Some((setting.path(), setting.write(item)?)))
            .collect()
    }
}
