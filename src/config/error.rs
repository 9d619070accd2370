//! Errors of the configuration: the setting, where it was typed, what is wrong, and what is
//! accepted.

use std::fmt;

/// All errors of a configuration; never empty.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ConfigErrors(Vec<SettingError>);

/// An error of one setting.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{setting} ({origin}): {problem}; accepts {accepts}")]
pub struct SettingError {
    /// The dotted path of the setting, such as `tier[2].max_ttl`.
    pub(super) setting: String,
    /// Where the value was typed.
    pub(super) origin: Origin,
    /// What is wrong with the value.
    pub(super) problem: String,
    /// What the setting accepts.
    pub(super) accepts: String,
}

/// Where a value was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// On the command line, with this flag.
    Flag(&'static str),
    /// In this environment variable.
    Variable(String),
    /// In the file.
    File,
    /// Nowhere: the value is the default, and another setting forbids it.
    Default,
}

impl ConfigErrors {
    pub(super) fn new(errors: Vec<SettingError>) -> Self {
        Self(errors)
    }

    /// The errors; a setting can have several.
    pub fn iter(&self) -> impl Iterator<Item = &SettingError> {
        self.0.iter()
    }
}

impl SettingError {
    /// The dotted path of the setting, such as `tier[2].max_ttl`.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "from {flag}"),
            Self::Variable(name) => write!(f, "from {name}"),
            Self::File => f.write_str("from the config file"),
            Self::Default => f.write_str("by default"),
        }
    }
}
