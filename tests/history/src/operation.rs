//! The recorded calls.

/// The name of a credential: a key in a namespace.
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
    /// Read before the call was sent, on a clock that all callers share and that never goes back;
    /// in any unit.
    pub invoked: u64,
    /// The same clock, read after the answer was received.
    pub answered: u64,
    /// The server's wall clock, read before the call was sent, in nanoseconds since the epoch.
    pub wall_before: u64,
    /// The server's wall clock, read after the answer was received.
    pub wall_after: u64,
}

/// A call that was answered.
#[derive(Clone, Debug)]
pub struct Operation {
    /// When the call was invoked and answered.
    pub span: Span,
    /// The request and the answer.
    pub call: Call,
}

/// The request and the answer of a call.
#[derive(Clone, Debug)]
pub enum Call {
    /// A Get.
    Get(Get),
    /// A Put.
    Put(Put),
    /// An invalidation.
    Invalidate(Invalidate),
    /// An extension of a lease.
    Extend(Extend),
    /// An abandoned lease.
    Abandon(Abandon),
}

/// A Get and its answer.
#[derive(Clone, Debug)]
pub struct Get {
    /// The name that was looked up.
    pub name: Name,
    /// The least remaining lifetime that was requested, in nanoseconds.
    pub min_ttl: u64,
    /// The credential; `None` for a miss.
    pub hit: Option<Hit>,
    /// The lease that was granted.
    pub lease: Option<Granted>,
}

/// The token that identifies a lease.
pub type Token = [u8; 16];

/// A lease as it was granted.
#[derive(Clone, Copy, Debug)]
pub struct Granted {
    /// Its token.
    pub token: Token,
    /// How long the lease lasts, in nanoseconds.
    pub ttl: u64,
}

/// The credential of a hit.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The version: the revision of its Put.
    pub version: u64,
    /// The value.
    pub value: Vec<u8>,
    /// When it expires, in nanoseconds since the epoch.
    pub expires_at: u64,
}

/// A Put and its answer. No two Puts of a history may have the same value, except for repeated
/// fills, which must have the same value.
#[derive(Clone, Debug)]
pub struct Put {
    /// The name that was put.
    pub name: Name,
    /// The value.
    pub value: Vec<u8>,
    /// The tags.
    pub tags: Vec<String>,
    /// The lease under which the value was fetched.
    pub lease: Option<Token>,
    /// When the value was issued, in nanoseconds since the epoch.
    pub issued_at: Option<u64>,
    /// The precondition.
    pub precondition: Option<Precondition>,
    /// What was stored, or why the Put was refused.
    pub outcome: Result<Stored, Refusal>,
}

/// The precondition of a Put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The key holds nothing live.
    Absent,
    /// The key holds this live version.
    Version(u64),
}

/// The result of a Put that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The revision of the Put.
    pub version: u64,
    /// When the credential expires, in nanoseconds since the epoch.
    pub expires_at: u64,
}

/// Why a Put was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With [`Precondition::Absent`]: the key was live.
    Exists,
    /// With [`Precondition::Version`]: the key didn't hold that version.
    VersionDiffers,
    /// The lease wasn't the key's current lease.
    LeaseLost,
    /// The credential may have been revoked since its lease was granted, or since it was issued.
    Revoked,
}

/// An invalidation and its answer.
#[derive(Clone, Debug)]
pub struct Invalidate {
    /// The namespace.
    pub namespace: String,
    /// The target within the namespace.
    pub target: Target,
    /// Credentials issued at or before this time are refused, in nanoseconds since the epoch.
    /// `None` stands for the instant of the call.
    pub issued_before: Option<u64>,
    /// How many credentials were removed.
    pub removed: u64,
    /// The revision of the invalidation.
    pub revision: u64,
}

/// The target of an invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One key.
    Key(String),
    /// One key, if it holds this version.
    KeyVersion(String, u64),
    /// Every key with this prefix.
    Prefix(String),
    /// Every key that holds a credential with this tag.
    Tag(String),
    /// Every key.
    All,
}

/// An ExtendLease and its answer.
#[derive(Clone, Debug)]
pub struct Extend {
    /// The key of the lease.
    pub name: Name,
    /// The lease.
    pub lease: Token,
    /// The remaining time of the lease after the call, in nanoseconds; `None` if the lease was
    /// lost.
    pub left: Option<u64>,
}

/// An AbandonLease and its answer.
#[derive(Clone, Debug)]
pub struct Abandon {
    /// The key of the lease.
    pub name: Name,
    /// The lease.
    pub lease: Token,
    /// Whether the lease was the key's current lease.
    pub accepted: bool,
}

impl Operation {
    /// The version that the Put stored; `None` for other operations.
    #[must_use]
    pub fn stored(&self) -> Option<u64> {
        self.call.stored().map(|(_, stored)| stored.version)
    }
}

impl Call {
    /// The position of a write in the server's sequence of changes; `None` if nothing was written.
    pub(crate) fn revision(&self) -> Option<u64> {
        match self {
            Self::Get(_) | Self::Extend(_) | Self::Abandon(_) => None,
            Self::Put(_) => self.stored().map(|(_, stored)| stored.version),
            Self::Invalidate(invalidate) => Some(invalidate.revision),
        }
    }

    /// The Put and its result, if a credential was stored.
    pub(crate) fn stored(&self) -> Option<(&Put, Stored)> {
        match self {
            Self::Put(put) => put.outcome.ok().map(|stored| (put, stored)),
            Self::Get(_) | Self::Invalidate(_) | Self::Extend(_) | Self::Abandon(_) => None,
        }
    }
}

impl Target {
    /// Whether the invalidation covers the key while the key holds the credential that `put` stored
    /// as `version`.
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
