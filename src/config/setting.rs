//! A setting as the table describes it: its path, its flag, its text, and the field for its value.
//!
//! The owner of the field is the whole configuration, or one table of a list such as `[[tier]]`.

use toml::Value;

#[cfg(test)]
use super::form::Samples;
use super::form::{Flag, Form, Problem};

/// A setting whose value goes into a field of an `Owner`.
pub(super) struct Setting<Owner: 'static> {
    path: &'static str,
    field: &'static dyn AnyField<Owner>,
    text: &'static str,
    flag: Option<&'static str>,
    condition: Option<&'static str>,
    default: Option<&'static str>,
}

impl<Owner> Setting<Owner> {
    /// Creates a setting from its dotted path in the file, its field, and a phrase that says what
    /// the setting is.
    pub(super) const fn new(
        path: &'static str,
        field: &'static dyn AnyField<Owner>,
        text: &'static str,
    ) -> Self {
        Self {
            path,
            field,
            text,
            flag: None,
            condition: None,
            default: None,
        }
    }

    /// Adds a flag of `credcache serve`, such as `--log-level`.
    pub(super) const fn flag_named(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }

    /// Adds a condition on the accepted values that the form doesn't know.
    pub(super) const fn on_condition(mut self, condition: &'static str) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Describes a default that depends on the machine.
    pub(super) const fn with_default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// The dotted path in the file.
    pub(super) const fn path(&self) -> &'static str {
        self.path
    }

    /// The table of the file that contains the setting, and the setting's name there.
    pub(super) fn section_and_name(&self) -> (Option<&'static str>, &'static str) {
        match self.path.split_once('.') {
            Some((section, name)) => (Some(section), name),
            None => (None, self.path),
        }
    }

    /// The variable that sets this setting, such as `CREDCACHE_LIMITS_MAX_VALUE`.
    pub(super) fn variable(&self) -> String {
        let path = self.path.to_ascii_uppercase().replace('.', "_");
        format!("CREDCACHE_{path}")
    }

    /// The flag that sets this setting, if the setting has a flag.
    pub(super) const fn flag(&self) -> Option<&'static str> {
        self.flag
    }

    /// How the flag takes its value.
    pub(super) fn flag_form(&self) -> Flag {
        self.field.flag()
    }

    /// What the setting is, in one phrase.
    pub(super) const fn text(&self) -> &'static str {
        self.text
    }

    /// What the setting accepts. `example` holds the values for examples.
    pub(super) fn accepts(&self, example: &Owner) -> String {
        let accepts = self.field.accepts(example);
        match self.condition {
            Some(condition) => format!("{accepts}, {condition}"),
            None => accepts,
        }
    }

    /// The default in words, where it depends on the machine.
    pub(super) const fn default_in_words(&self) -> Option<&'static str> {
        self.default
    }

    /// Reads a value into the owner's field.
    ///
    /// # Errors
    /// What is wrong with the value; the field is left as it was.
    pub(super) fn read(&self, value: &Value, owner: &mut Owner) -> Result<(), Problem> {
        self.field.read(value, owner)
    }

    /// The value of the owner's field, or `None` if the setting is to be left out.
    pub(super) fn write(&self, owner: &Owner) -> Option<Value> {
        self.field.write(owner)
    }

    #[cfg(test)]
    pub(super) fn samples(&self) -> Samples {
        self.field.samples()
    }
}

/// A field of an `Owner`, and the form of its values. `field!` makes one.
pub(super) struct Field<Owner, F: Form> {
    pub(super) form: F,
    pub(super) of: fn(&Owner) -> &F::Value,
    pub(super) of_mut: fn(&mut Owner) -> &mut F::Value,
}

/// `field!(Config.limits.max_streams, Number(1..=65_536))`: a field of an owner, and its form.
macro_rules! field {
    ($owner:ident $(.$name:ident)+, $form:expr) => {
        &$crate::config::setting::Field {
            form: $form,
            of: |owner: &$owner| &owner $(.$name)+,
            of_mut: |owner: &mut $owner| &mut owner $(.$name)+,
        }
    };
}
pub(super) use field;

/// A [`Field`] of any form.
pub(super) trait AnyField<Owner>: Sync {
    fn accepts(&self, example: &Owner) -> String;
    fn read(&self, value: &Value, owner: &mut Owner) -> Result<(), Problem>;
    fn write(&self, owner: &Owner) -> Option<Value>;
    fn flag(&self) -> Flag;
    #[cfg(test)]
    fn samples(&self) -> Samples;
}

impl<Owner, F: Form> AnyField<Owner> for Field<Owner, F> {
    fn accepts(&self, example: &Owner) -> String {
        self.form.accepts(Some((self.of)(example)))
    }

    fn read(&self, value: &Value, owner: &mut Owner) -> Result<(), Problem> {
        *(self.of_mut)(owner) = self.form.read(value)?;
        Ok(())
    }

    fn write(&self, owner: &Owner) -> Option<Value> {
        self.form.write((self.of)(owner))
    }

    fn flag(&self) -> Flag {
        self.form.flag()
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        self.form.samples()
    }
}
