//! Values that are one of a few words.

use std::str::FromStr;

use toml::Value;

#[cfg(test)]
use super::Samples;
use super::{Flag, Form, Problem, shown, unreadable};

/// `true` or `false`.
pub(in crate::config) struct Boolean;

impl Form for Boolean {
    type Value = bool;

    fn accepts(&self, _example: Option<&bool>) -> String {
        "true or false".into()
    }

    fn read(&self, value: &Value) -> Result<bool, Problem> {
        match value {
            Value::Boolean(boolean) => Ok(*boolean),
            Value::String(text) => bool::from_str(text).map_err(|error| unreadable(value, error)),
            _ => Err(format!("{} isn't a boolean", shown(value))),
        }
    }

    fn write(&self, value: &bool) -> Option<Value> {
        Some(Value::Boolean(*value))
    }

    fn flag(&self) -> Flag {
        Flag::Switch
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        Samples::new(&["false", "'false'"], &["'no'", "0", "''", "[]"])
    }
}

/// One of a few words, each of which stands for a value.
pub(in crate::config) struct Choice<T: 'static> {
    /// The name of the value in upper case, as `--help` writes it.
    pub(in crate::config) name: &'static str,
    /// The words, at least two, and the values that they stand for.
    pub(in crate::config) words: &'static [(&'static str, T)],
}

impl<T: Copy + PartialEq + Sync> Form for Choice<T> {
    type Value = T;

    fn accepts(&self, _example: Option<&T>) -> String {
        let mut text = String::new();
        for (index, (word, _)) in self.words.iter().enumerate() {
            text += match index {
                0 => "",
                _ if index + 1 == self.words.len() => " or ",
                _ => ", ",
            };
            text += word;
        }
        text
    }

    fn read(&self, value: &Value) -> Result<T, Problem> {
        let mut words = self.words.iter();
        words
            .find(|(word, _)| value.as_str() == Some(word))
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("{} isn't a {}", shown(value), self.name.to_lowercase()))
    }

    fn write(&self, value: &T) -> Option<Value> {
        let mut words = self.words.iter();
        let (word, _) = words.find(|(_, other)| other == value)?;
        Some(Value::String((*word).into()))
    }

    fn flag(&self) -> Flag {
        Flag::One(self.name)
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        let words = self.words.iter().map(|(word, _)| format!("'{word}'"));
        Samples::new(&[], &["'JSON '", "''", "1", "[]"]).and(words.collect(), Vec::new())
    }
}
