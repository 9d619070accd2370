//! Judges histories of concurrent calls: whether some one order of them, true
//! to the clock, explains every answer.
//!
//! What one key may answer is that of a register: a Get hits the version that
//! was put last, unless that was invalidated since, and it may always miss. In
//! general it takes exponential time to tell whether a history has such an
//! order (is linearizable); here every Put and Invalidate answers its revision,
//! a number of one sequence, and so the writes stand in a known order. Let the
//! position *p* of a write be its revision, and that of a hit of version *v* be
//! *v* and a half: behind the Put of *v*, before whatever was written next. Then
//!
//! > the history of a key is linearizable if and only if *p(a) ≤ p(b)* for any
//! > two operations of which *a* was answered before *b* was invoked.
//!
//! *If:* put the operations in order of *p*, and of invocation where hits of
//! one version share it (writes never do). That is true to the clock: where *a*
//! was answered before *b* was invoked, either *p(a) < p(b)*, or both are hits
//! of one version, and *a* was invoked first. And it explains the answers: no
//! write stands between a hit and the Put of its version. *Only if:* in any
//! such order the writes stand by revision, and a hit stands behind the Put of
//! its version and before the next write; that is the order of *p*, and it is
//! true to the clock.
//!
//! So one sweep along the clock decides it, in *O(n log n)*: the highest
//! position among the operations answered so far is the least for the next.
//! Linearizability is local, so keys are judged one by one; an Invalidate of
//! many keys is a write to each that it matches. Whether it matches by tag or
//! version depends on what the key held at its revision, which is known: what
//! was put last before. Where it takes nothing it isn't a write to the key; what
//! it still owes is a revision above all that was written before, of any key,
//! which one more sweep looks at.
//!
//! Conditional Puts read as well as write. See the rules of [`Rule`] for what is
//! asked of them, and for what is asked of an answer besides its place.
//!
//! Leases and times of issue are judged by the same sequence: whether a fence
//! stood before a Put is a question of their two revisions. So is whether a Put
//! without the lease stood before a fill. A fill that was repeated was stored
//! once, and was answered the same each time. Refusals aren't judged: one too
//! many is always allowed.

mod current;
mod evidence;
mod history;
mod leases;
mod operation;
mod repeated;
mod sweep;
#[cfg(test)]
mod tests;
mod timeline;
mod violation;

pub use history::{Room, check};
pub use operation::{
    Abandon, Call, Extend, Get, Granted, Hit, Invalidate, Name, Operation, Precondition, Put,
    Refusal, Span, Stored, Target, Token,
};
pub use violation::{Rule, Violation};
