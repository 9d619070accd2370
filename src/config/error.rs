//! What was wrong with the configuration: where, what, and what would do.

use std::fmt;

/// Everything that was wrong; never empty.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ConfigErrors(Vec<SettingError>);

/// What was wrong with one setting.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{setting} ({origin}): {problem}; accepts {accepts}")]
pub struct SettingError {
    /// The dotted path of the setting, such as `tier[2].max_ttl`.
    pub(super) setting: String,
    /// Where it was typed.
    pub(super) origin: Origin,
    /// What is wrong with it.
    pub(super) problem: String,
    /// What it accepts.
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
    /// Nowhere: it is the default, which another setting rules out.
    Default,
}

impl ConfigErrors {
    pub(super) fn new(errors: Vec<SettingError>) -> Self {
        Self(errors)
    }

    /// The errors, one a setting or more.
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
