//! Who may connect to the Unix sockets: the permissions and the group of their files.

use std::fmt;

use toml::Value;

#[cfg(test)]
use super::form::Samples;
use super::form::{Flag, Form, Problem, shown};

/// A group of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// The number of the group.
    Id(u32),
    /// The name of the group, which is looked up when the socket is created.
    Name(String),
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The permissions of a socket's file. They are text in octal: as a number, 660 would be 01224 in
/// octal.
pub(super) struct SocketMode;

impl Form for SocketMode {
    type Value = u32;

    fn accepts(&self, _example: Option<&u32>) -> String {
        "an octal mode as text, such as \"0660\": 6 or 7 for the owner; for the group and for \
         others 0, or a mode that includes write permission, because connecting requires it"
            .into()
    }

    fn read(&self, value: &Value) -> Result<u32, Problem> {
        let text = value
            .as_str()
            .ok_or_else(|| format!("{} isn't text", shown(value)))?;
        let is_octal =
            (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let mode = u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| is_octal && *mode <= 0o777)
            .ok_or_else(|| format!("{} isn't a mode from 0600 to 0777", shown(value)))?;
        if mode & 0o600 != 0o600 {
            return Err(format!("{} keeps the owner out", shown(value)));
        }
        let cannot_connect = |rights: u32| rights & 0o7 != 0 && rights & 0o2 == 0;
        if cannot_connect(mode >> 3) || cannot_connect(mode) {
            return Err(format!(
                "{} doesn't allow connecting, which requires write permission",
                shown(value)
            ));
        }
        Ok(mode)
    }

    fn write(&self, value: &u32) -> Option<Value> {
        Some(Value::String(format!("{value:04o}")))
    }

    fn flag(&self) -> Flag {
        Flag::One("MODE")
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        Samples::new(
            &["'0600'", "'660'", "'0666'", "'0777'", "'0730'"],
            &[
                "660",
                "0o660",
                "'0o660'",
                "'60'",
                "'0060'",
                "'0400'",
                "'0640'",
                "'0664'",
                "'01660'",
                "'1777'",
                "'0680'",
                "'+660'",
                "'rw-rw----'",
                "''",
                "true",
            ],
        )
    }
}

/// The name of a group, or its number.
pub(super) struct GroupName;

impl Form for GroupName {
    type Value = Group;

    fn accepts(&self, _example: Option<&Group>) -> String {
        "the name of a group of this host, or its number".into()
    }

    fn read(&self, value: &Value) -> Result<Group, Problem> {
        let refused = || format!("{} isn't a group", shown(value));
        let text = match value {
            Value::Integer(number) => &number.to_string(),
            Value::String(text) => text,
            _ => return Err(refused()),
        };
        if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            // To `chown`, the highest number means "leave the group unchanged".
            let id = text.parse().ok().filter(|id| *id != u32::MAX);
            return id.map(Group::Id).ok_or_else(refused);
        }
        // A directory service's group may be called `DOMAIN\domain users`.
        let is_name = (1..=256).contains(&text.len())
            && text.trim() == text
            && !text.starts_with(['-', '+'])
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || " ._-@$+\\".contains(c));
        is_name
            .then(|| Group::Name(text.clone()))
            .ok_or_else(refused)
    }

    fn write(&self, value: &Group) -> Option<Value> {
        Some(Value::String(value.to_string()))
    }

    fn flag(&self) -> Flag {
        Flag::One("GROUP")
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        Samples::new(
            &[
                "'credcache'",
                "'0'",
                "1000",
                "'_www'",
                "'DOMAIN\\domain users'",
            ],
            &[
                "''",
                "-1",
                "'-1'",
                "4294967295",
                "'4294967296'",
                "' a'",
                "'a:b'",
                "'{}'",
                "[]",
                "1.5",
            ],
        )
    }
}
