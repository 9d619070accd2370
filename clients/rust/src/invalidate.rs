//! The request of an Invalidate, and its answer.

use std::{fmt, time::SystemTime};

use crate::proto::{self, invalidate_request::Target as WireTarget};

/// Which credentials of a namespace to revoke.
///
/// ```
/// use credcache_client::Target;
///
/// // After a 401 with version 7 of a token: a version that was refreshed meanwhile
/// // stays.
/// let target = Target::KeyVersion("billing".into(), 7);
/// assert_eq!(format!("{target:?}"), "KeyVersion(.., 7)");
/// ```
///
/// `Debug` prints neither key nor prefix nor tag.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The credential of this key.
    Key(String),
    /// The credential of this key, but only this version: a late caller can't remove
    /// a version that was refreshed meanwhile. Another version stays, and counts as
    /// zero removed.
    KeyVersion(String, u64),
    /// Every credential whose key starts with this prefix.
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
            Self::Key(key) => WireTarget::Key(key),
            Self::KeyVersion(key, version) => {
                if_version = Some(version);
                WireTarget::Key(key)
            }
            Self::KeyPrefix(prefix) => WireTarget::KeyPrefix(prefix),
            Self::Tag(tag) => WireTarget::Tag(tag),
            Self::All => WireTarget::All(true),
        };
        proto::InvalidateRequest {
            namespace,
            target: Some(target),
            if_version,
            issued_before: options.issued_before.map(Into::into),
        }
    }
}

/// Options of an Invalidate.
///
/// ```no_run
/// use std::time::SystemTime;
///
/// use credcache_client::{Client, InvalidateOptions, Target};
///
/// # async fn example(client: Client, leaked_at: SystemTime) -> Result<(), credcache_client::Error> {
/// let options = InvalidateOptions::default().issued_before(leaked_at);
/// client.invalidate_with("oauth", Target::All, options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct InvalidateOptions {
    issued_before: Option<SystemTime>,
}

impl InvalidateOptions {
    /// From now on the server refuses credentials that were issued at or before this
    /// instant, which may be at most 5 minutes ahead of the server's wall clock. The
    /// default is the instant of the call.
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

/// What an Invalidate removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalidated {
    /// How many live credentials were removed.
    pub removed: u64,
    /// The revision of this invalidation: credentials that were put before have lower
    /// versions.
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
            (Target::Key("k".into()), WireTarget::Key("k".into()), None),
            (
                Target::KeyVersion("k".into(), 7),
                WireTarget::Key("k".into()),
                Some(7),
            ),
            (
                Target::KeyPrefix("p".into()),
                WireTarget::KeyPrefix("p".into()),
                None,
            ),
            (Target::Tag("t".into()), WireTarget::Tag("t".into()), None),
            (Target::All, WireTarget::All(true), None),
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
