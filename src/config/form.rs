//! The forms of values: what each form accepts, and how it reads and writes values.
//!
//! The environment and the flags carry only text, so every form accepts text, even where the file
//! may hold a number or a boolean.

mod numbers;
mod words;

use std::fmt::Display;

use toml::Value;

pub(super) use self::{
    numbers::{Number, Size, Span, out_of_bounds},
    words::{Boolean, Choice},
};

/// Why a value is refused, without the name of its setting.
pub(super) type Problem = String;

/// A form of values.
pub(super) trait Form: Sync {
    /// The type of the values.
    type Value;

    /// Describes the accepted values, for errors, `--help` and README. `example` is the default of
    /// the setting.
    fn accepts(&self, example: Option<&Self::Value>) -> String;

    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong with the value.
    fn read(&self, value: &Value) -> Result<Self::Value, Problem>;

    /// Writes a value so that [`read`](Self::read) returns it again, or returns `None` if the
    /// setting has to be left out for that.
    fn write(&self, value: &Self::Value) -> Option<Value>;

    /// How a flag of this form takes its value.
    fn flag(&self) -> Flag;

    /// Sample values as TOML: accepted ones, and refused ones.
    #[cfg(test)]
    fn samples(&self) -> Samples;
}

/// How a flag takes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    /// The flag takes no value and means `true`.
    Switch,
    /// The flag takes one value, which `--help` calls by this name.
    One(&'static str),
    /// The flag takes one value and may be repeated.
    Repeatable(&'static str),
}

/// Accepted and refused values, as TOML.
#[cfg(test)]
pub(super) struct Samples {
    pub(super) good: Vec<String>,
    pub(super) bad: Vec<String>,
}

#[cfg(test)]
impl Samples {
    pub(super) fn new(good: &[&str], bad: &[&str]) -> Self {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Self {
            good: owned(good),
            bad: owned(bad),
        }
    }

    pub(super) fn and(mut self, good: Vec<String>, bad: Vec<String>) -> Self {
        self.good.extend(good);
        self.bad.extend(bad);
        self
    }
}

/// A value of another form, or no value.
pub(super) struct Optional<F>(pub(super) F);

impl<F: Form> Form for Optional<F> {
    type Value = Option<F::Value>;

    fn accepts(&self, example: Option<&Self::Value>) -> String {
        self.0.accepts(example.and_then(Option::as_ref))
    }

    fn read(&self, value: &Value) -> Result<Self::Value, Problem> {
        self.0.read(value).map(Some)
    }

    fn write(&self, value: &Self::Value) -> Option<Value> {
        value.as_ref().and_then(|value| self.0.write(value))
    }

    fn flag(&self) -> Flag {
        self.0.flag()
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        self.0.samples()
    }
}

/// The problem of a value that can't be read.
pub(super) fn unreadable(value: &Value, error: impl Display) -> Problem {
    format!("{} is not valid: {error}", shown(value))
}

/// The value as it was typed, on one line and not too long.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string().replace('\n', " ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
