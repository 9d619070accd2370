//! The rules that a history can break.

use std::fmt;

use crate::operation::Operation;

/// A rule that a history breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Revisions count every Put and Invalidate once.
    #[error("two writes have the same revision")]
    OneRevisionEach,
    /// A write has a higher revision than any write that was answered before it began, or that was
    /// visible in a hit before it began.
    #[error("a later write has a lower revision")]
    RevisionsInOrder,
    /// One order of a key's operations explains every answer.
    #[error(
        "an operation shows an earlier state than an operation that was answered before it began"
    )]
    Order,
    /// The version of a hit was put.
    #[error("a hit of a version that wasn't put")]
    Put,
    /// The version of a hit was put under the same name.
    #[error("a hit of a version that was put under another name")]
    Name,
    /// The value of a hit is the value that was put as this version.
    #[error("a hit whose value isn't the one that was put as its version")]
    Value,
    /// The Put of a hit was invoked before the hit was answered.
    #[error("a hit of a version that was put later")]
    Past,
    /// No Get that begins when a credential has expired, or later, hits the credential.
    #[error("a hit of an expired credential")]
    Lifetime,
    /// The expiry of a hit is never later than that of its Put.
    #[error("a hit with a later expiry than its Put")]
    LifetimeKept,
    /// A Put that replaces a version comes directly after the Put of that version, without an
    /// invalidation in between, and that version could have been hit during the Put.
    #[error("a Put that replaced a version that wasn't the latest, or was invalidated")]
    Replaces,
    /// If a Put was refused because its key was live, a credential could have been hit during the
    /// Put.
    #[error("a Put refused because of a live credential that can't have existed")]
    RefusedByLive,
    /// If a Put was stored because its key wasn't live, the last credential may have been
    /// invalidated, expired or evicted.
    #[error("a Put stored as the first although a credential was live")]
    StoredByAbsence,
    /// With [ample room](crate::Room::Ample): an invalidation of a key removes the last credential
    /// that was put before, unless it had expired or had been invalidated.
    #[error("an invalidation that didn't remove a live credential")]
    Removed,
    /// With [ample room](crate::Room::Ample): a Get finds the last credential that was put before
    /// it began, unless something removed it or something was written during the Get.
    #[error("a miss of a credential that nothing removed")]
    Kept,
    /// A lease that is used was granted before.
    #[error("use of a lease that wasn't granted")]
    Granted,
    /// No lease is granted twice.
    #[error("a lease granted twice")]
    GrantedOnce,
    /// A lease is filled or abandoned only once. A repeated fill receives the same answer.
    #[error("a lease used twice")]
    UsedOnce,
    /// A lease is filled, extended or abandoned only while it is the key's current lease: not after
    /// the key was put without it or another lease was granted. It isn't extended after an
    /// invalidation or a use either.
    #[error("a lease used after it was lost")]
    Current,
    /// A key has one lease at a time.
    #[error("a lease granted while another lease of the key was held")]
    OneHolder,
    /// A fill is stored only if nothing that covers it was invalidated since its lease was granted.
    /// A lease was granted before every invalidation that covers the credential that was returned
    /// with the lease or was hit later.
    #[error("a fill stored under a lease that was granted before an invalidation")]
    Fenced,
    /// A Put is stored only if no invalidation that covers it has an `issued_before` at or after
    /// its time of issue.
    #[error("a Put stored although its credential was issued before an invalidation")]
    Issued,
}

/// A broken rule, and the operations that break it.
#[derive(Debug)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The operations that contradict each other, the latest last.
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
