//! What is recorded of a call.

/// Whose credential: a key of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The namespace.
    pub namespace: String,
    /// The key.
    pub key: String,
}

/// When a call was invoked and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Read before the call was sent, on a clock that all callers share and
    /// that never goes back; in any unit.
    pub invoked: u64,
    /// The same clock, read after the answer had come.
    pub answered: u64,
    /// The server's wall clock, read before the call was sent: nanoseconds
    /// since the epoch.
    pub wall_before: u64,
    /// The server's wall clock, read after the answer had come.
    pub wall_after: u64,
}

/// A call that was answered.
#[derive(Clone, Debug)]
pub struct Operation {
    /// When.
    pub span: Span,
    /// What was asked, and what was answered.
    pub call: Call,
}

/// What was asked, and what was answered.
#[derive(Clone, Debug)]
pub enum Call {
    /// A Get.
    Get(Get),
    /// A Put.
    Put(Put),
    /// An Invalidate.
    Invalidate(Invalidate),
    /// A lease extended.
    Extend(Extend),
    /// A lease given back.
    Abandon(Abandon),
}

/// A Get and its answer.
#[derive(Clone, Debug)]
pub struct Get {
    /// What was looked up.
    pub name: Name,
    /// How much lifetime was to be left, in nanoseconds.
    pub min_ttl: u64,
    /// What was found; `None` for a miss.
    pub hit: Option<Hit>,
    /// The lease that was answered.
    pub lease: Option<Granted>,
}

/// What tells a lease from all others.
pub type Token = [u8; 16];

/// A lease, as answered.
#[derive(Clone, Copy, Debug)]
pub struct Granted {
    /// Its token.
    pub token: Token,
    /// How long it lasts, in nanoseconds.
    pub ttl: u64,
}

/// The credential of a hit.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The revision of its Put, as answered.
    pub version: u64,
    /// The value.
    pub value: Vec<u8>,
    /// When it ends, as answered: nanoseconds since the epoch.
    pub expires_at: u64,
}

/// A Put and its answer. No two Puts of a history may have the same value, but
/// for a fill that is repeated: that must.
#[derive(Clone, Debug)]
pub struct Put {
    /// Where to.
    pub name: Name,
    /// The value.
    pub value: Vec<u8>,
    /// The tags.
    pub tags: Vec<String>,
    /// The lease that it was fetched under.
    pub lease: Option<Token>,
    /// When it was issued: nanoseconds since the epoch.
    pub issued_at: Option<u64>,
    /// The condition.
    pub precondition: Option<Precondition>,
    /// What was stored, or why nothing was.
    pub outcome: Result<Stored, Refusal>,
}

/// The condition of a Put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing live.
    Absent,
    /// This live version.
    Version(u64),
}

/// What a Put stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its revision.
    pub version: u64,
    /// When it ends: nanoseconds since the epoch.
    pub expires_at: u64,
}

/// Why a Put stored nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// [`Precondition::Absent`], and the key was live.
    Exists,
    /// [`Precondition::Version`], and the key didn't hold that version.
    VersionDiffers,
    /// Its lease wasn't the key's current one.
    LeaseLost,
    /// It may have been revoked since its lease was granted, or since it was
    /// issued.
    Revoked,
}

/// An Invalidate and its answer.
#[derive(Clone, Debug)]
pub struct Invalidate {
    /// In which namespace.
    pub namespace: String,
    /// What.
    pub target: Target,
    /// What was issued at or before is refused: nanoseconds since the epoch.
    /// `None` for the instant of the call.
    pub issued_before: Option<u64>,
    /// How many credentials were removed, as answered.
    pub removed: u64,
    /// Its revision.
    pub revision: u64,
}

/// What was invalidated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One key.
    Key(String),
    /// One key, if it holds this version.
    KeyVersion(String, u64),
    /// Every key that starts so.
    Prefix(String),
    /// Every key that holds a credential with this tag.
    Tag(String),
    /// Every key.
    All,
}

/// An ExtendLease and its answer.
#[derive(Clone, Debug)]
pub struct Extend {
    /// Whose lease.
    pub name: Name,
    /// Which.
    pub lease: Token,
    /// How long it lasts from then, in nanoseconds; `None` if it was lost.
    pub left: Option<u64>,
}

/// An AbandonLease and its answer.
#[derive(Clone, Debug)]
pub struct Abandon {
    /// Whose lease.
    pub name: Name,
    /// Which.
    pub lease: Token,
    /// Whether it was the current one.
    pub accepted: bool,
}

impl Operation {
    /// The version that a Put stored.
    #[must_use]
    pub fn stored(&self) -> Option<u64> {
        self.call.stored().map(|(_, stored)| stored.version)
    }
}

impl Call {
    /// The place of a write in the one sequence; `None` if nothing was written.
    pub(crate) fn revision(&self) -> Option<u64> {
        match self {
            Self::Get(_) | Self::Extend(_) | Self::Abandon(_) => None,
            Self::Put(_) => self.stored().map(|(_, stored)| stored.version),
            Self::Invalidate(invalidate) => Some(invalidate.revision),
        }
    }

    /// What a Put stored.
    pub(crate) fn stored(&self) -> Option<(&Put, Stored)> {
        match self {
            Self::Put(put) => put.outcome.ok().map(|stored| (put, stored)),
            Self::Get(_) | Self::Invalidate(_) | Self::Extend(_) | Self::Abandon(_) => None,
        }
    }
}

impl Target {
    /// Whether it reaches this key while that holds what `put` stored as
    /// `version`.
    pub(crate) fn matches(&self, put: &Put, version: u64) -> bool {
        match self {
            Self::Key(key) => *key == put.name.key,
            Self::KeyVersion(key, only) => *key == put.name.key && *only == version,
            Self::Prefix(prefix) => put.name.key.starts_with(prefix),
            Self::Tag(tag) => put.tags.contains(tag),
            Self::All => true,
        }
    }
}
