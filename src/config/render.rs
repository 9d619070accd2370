//! The configuration as TOML, as `check-config` prints it. Reading the text again gives the same
//! configuration.

use std::fmt;

use super::settings::{Config, LISTS, SETTINGS};

impl Config {
    /// The configuration as a TOML file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        Rendered(self).to_string()
    }
}

struct Rendered<'a>(&'a Config);

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for setting in SETTINGS {
            let (section, name) = setting.section_and_name();
            if let Some(section) = section
                && last != Some(section)
            {
                writeln!(f, "\n[{section}]")?;
            }
            if let Some(value) = setting.write(self.0) {
                writeln!(f, "{name} = {value}")?;
            }
            last = section;
        }
        for list in LISTS {
            for table in (list.write)(self.0) {
                writeln!(f, "\n[[{}]]", list.tables.name())?;
                for (name, value) in table {
                    writeln!(f, "{name} = {value}")?;
                }
            }
        }
        Ok(())
    }
}
