//! What a caller reads of a stored credential, wherever the entry was found.

use crate::{
    model::{
        attributes::AttributesRef, revision::Revision, tags::Tags, tier_spec::TierId,
        time::WallTime,
    },
    store::entry::Entry,
};

/// The fields of a stored credential, read in place.
#[derive(Clone, Copy)]
pub struct EntryView<'a> {
    entry: &'a Entry,
    expires_at: WallTime,
}

impl<'a> EntryView<'a> {
    /// The entry, whose lifetime is reported to end at `expires_at`.
    #[inline]
    pub(crate) fn new(entry: &'a Entry, expires_at: WallTime) -> Self {
        Self { entry, expires_at }
    }

    /// The secret value.
    #[must_use]
    #[inline]
    pub fn value(self) -> &'a [u8] {
        self.entry.value()
    }

    /// When the credential expires, by the wall clock.
    #[must_use]
    #[inline]
    pub fn expires_at(self) -> WallTime {
        self.expires_at
    }

    /// When the credential should be refreshed, by the wall clock.
    #[must_use]
    #[inline]
    pub fn refresh_at(self) -> WallTime {
        self.expires_at.before(self.entry.refresh_lead())
    }

    /// The version: the revision of the Put that stored the credential.
    #[must_use]
    #[inline]
    pub fn version(self) -> Revision {
        self.entry.version()
    }

    /// The tier that holds the credential.
    #[must_use]
    #[inline]
    pub fn tier(self) -> TierId {
        self.entry.tier()
    }

    /// The attributes that the Put attached.
    #[must_use]
    #[inline]
    pub fn attributes(self) -> AttributesRef<'a> {
        self.entry.attributes()
    }

    /// The tags of the Put.
    #[must_use]
    #[inline]
    pub fn tags(self) -> &'a Tags {
        self.entry.labels().tags()
    }
}
