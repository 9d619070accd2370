//! What an Invalidate revokes, and what it answers.

use std::{fmt, time::SystemTime};

use crate::proto::{self, invalidate_request::Target as Wire};

/// Which credentials of a namespace to revoke.
///
/// `Debug` prints neither key nor prefix nor tag.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// The credential of this key.
    Key(String),
    /// The credential of this key, but only this version of it: a late caller
    /// can't wipe what was refreshed meanwhile. Another version stays, and
    /// counts as zero removed.
    KeyVersion(String, u64),
    /// Every credential whose key starts so.
    KeyPrefix(String),
    /// Every credential that was put with this tag.
    Tag(String),
    /// Every credential of the namespace.
    All,
}

impl Target {
    pub(crate) fn into_request(
        self,
        namespace: String,
        options: InvalidateOptions,
    ) -> proto::InvalidateRequest {
        let mut if_version = None;
        let target = match self {
            Self::Key(key) => Wire::Key(key),
            Self::KeyVersion(key, version) => {
                if_version = Some(version);
                Wire::Key(key)
            }
            Self::KeyPrefix(prefix) => Wire::KeyPrefix(prefix),
            Self::Tag(tag) => Wire::Tag(tag),
            Self::All => Wire::All(true),
        };
        proto::InvalidateRequest {
            namespace,
            target: Some(target),
            if_version,
            issued_before: options.issued_before.map(Into::into),
        }
    }
}

/// How far an Invalidate reaches.
#[derive(Clone, Copy, Debug, Default)]
pub struct InvalidateOptions {
    issued_before: Option<SystemTime>,
}

impl InvalidateOptions {
    /// Refuse from now on what was issued at or before this, by the server's
    /// wall clock and at most 5 minutes ahead of it. By default the instant of
    /// the call.
    #[must_use]
    pub fn issued_before(mut self, issued_before: SystemTime) -> Self {
        self.issued_before = Some(issued_before);
        self
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(_) => f.write_str("Key(..)"),
            Self::KeyVersion(_, version) => write!(f, "KeyVersion(.., {version})"),
            Self::KeyPrefix(_) => f.write_str("KeyPrefix(..)"),
            Self::Tag(_) => f.write_str("Tag(..)"),
            Self::All => f.write_str("All"),
        }
    }
}

/// What was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalidated {
    /// How many live credentials were removed.
    pub removed: u64,
    /// The revision of this invalidation: what was put before has a lower one.
    pub revision: u64,
}

impl From<proto::InvalidateResponse> for Invalidated {
    fn from(response: proto::InvalidateResponse) -> Self {
        Self {
            removed: response.removed,
            revision: response.revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let key = || "role/reader".to_owned();
        for (target, shown) in [
            (Target::Key(key()), "Key(..)"),
            (Target::KeyVersion(key(), 7), "KeyVersion(.., 7)"),
            (Target::KeyPrefix(key()), "KeyPrefix(..)"),
            (Target::Tag(key()), "Tag(..)"),
            (Target::All, "All"),
        ] {
            assert_eq!(format!("{target:?}"), shown);
        }
    }

    #[test]
    fn version_is_sent_with_its_key_alone() {
        for (target, wire, if_version) in [
            (Target::Key("k".into()), Wire::Key("k".into()), None),
            (
                Target::KeyVersion("k".into(), 7),
                Wire::Key("k".into()),
                Some(7),
            ),
            (
                Target::KeyPrefix("p".into()),
                Wire::KeyPrefix("p".into()),
                None,
            ),
            (Target::Tag("t".into()), Wire::Tag("t".into()), None),
            (Target::All, Wire::All(true), None),
        ] {
            let request = target.into_request("aws".into(), InvalidateOptions::default());
            assert_eq!(request.namespace, "aws");
            assert_eq!(
                (request.target, request.if_version),
                (Some(wire), if_version)
            );
            assert_eq!(request.issued_before, None);
        }
    }

    #[test]
    fn instant_that_credentials_must_be_issued_after_is_sent() {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(9);
        let options = InvalidateOptions::default().issued_before(at);
        let request = Target::All.into_request("aws".into(), options);
        assert_eq!(request.issued_before, Some(at.into()));
    }
}
