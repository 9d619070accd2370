//! What an answer can be wrong by.

use std::fmt;

use crate::operation::Operation;

/// A rule that a history breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Revisions count every Put and Invalidate once.
    #[error("two writes have one revision")]
    OneRevisionEach,
    /// A write that begins after another one's answer, or after a hit that
    /// shows it, has a higher revision.
    #[error("a later write has a lower revision")]
    RevisionsInOrder,
    /// There is one order of a key's operations that explains every answer.
    #[error("what began after this was answered tells of an earlier state")]
    Order,
    /// A hit's version was put.
    #[error("a hit of what nobody put")]
    Put,
    /// A hit is of what was put under its own name.
    #[error("a hit of what was put under another name")]
    Name,
    /// A hit's value is the one that was put as its version.
    #[error("a hit with another value than was put as its version")]
    Value,
    /// A hit's Put was invoked before the hit was answered.
    #[error("a hit of what was put later")]
    Past,
    /// No Get that begins at or after a credential's end hits it.
    #[error("a hit of what had expired")]
    Lifetime,
    /// A hit never ends later than its Put said.
    #[error("a hit that ends later than its Put said")]
    LifetimeKept,
    /// A Put in place of a version stands behind nothing but that version's
    /// Put, no Invalidate among it, and that version could have been hit while it
    /// ran.
    #[error("a Put in place of a version that wasn't the latest, or was invalidated")]
    Replaces,
    /// A Put that was refused because its key was live: something could have
    /// been hit while it ran.
    #[error("a Put refused by a live credential that can't have been")]
    RefusedByLive,
    /// A Put that was stored because its key wasn't live: nothing was that no
    /// Invalidate, end of life or want of room could have taken away.
    #[error("a Put stored as the first beside a live credential")]
    StoredByAbsence,
    /// Where there is [ample room](crate::Room::Ample): an Invalidate of a key
    /// removes what was put last before, unless that had ended or was invalidated.
    #[error("an Invalidate that didn't remove what was live")]
    Removed,
    /// Where there is [ample room](crate::Room::Ample): what was put last before
    /// a Get began is found if nothing took it away and nothing was written
    /// meanwhile.
    #[error("a miss of what nothing took away")]
    Kept,
    /// What uses up a lease was answered one.
    #[error("use of a lease that nobody was granted")]
    Granted,
    /// Every lease is another one.
    #[error("one lease granted twice")]
    GrantedOnce,
    /// A lease is filled or given back, and that once: a fill that is repeated is
    /// answered the same.
    #[error("one lease used twice")]
    UsedOnce,
    /// A lease is filled, extended or given back only while it is its key's
    /// current one: not after the key was put without it or somebody else was
    /// granted one, and extended neither after an invalidation nor a use.
    #[error("a lease used after it had been lost")]
    Current,
    /// A key has one lease at a time.
    #[error("a lease granted while another one was held")]
    OneHolder,
    /// A fill is stored only if nothing that matches was invalidated since its
    /// lease was granted. A lease is granted before whatever invalidates the
    /// credential that was answered with it, or that was hit later.
    #[error("a fill stored under a lease that was granted before an invalidation")]
    Fenced,
    /// A Put is stored only if nothing that matches was invalidated up to when
    /// it was issued, or later.
    #[error("a Put stored of what was issued before an invalidation")]
    Issued,
}

/// The rule that was broken, and by which operations.
#[derive(Debug)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// The operations that don't fit together; the latest last.
    pub operations: Vec<Operation>,
}

impl Violation {
    pub(crate) fn of(rule: Rule, operations: &[&Operation]) -> Self {
        Self {
            rule,
            operations: operations.iter().copied().cloned().collect(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.rule)?;
        for operation in &self.operations {
            write!(f, "\n  {operation:?}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}
