//! Checks histories of concurrent calls: whether an order of the operations exists that is
//! consistent with the clock and explains every answer.
//!
//! A key behaves like a register: a Get hits the version that was put last, unless that version was
//! invalidated since, and a Get may always miss. In general, deciding whether a history has such an
//! order (is linearizable) takes exponential time. Here, every Put and every invalidation returns
//! its revision, a number from one sequence, so the order of the writes is known. Let the position
//! *p* of a write be its revision, and the position of a hit of version *v* be *v* and a half:
//! after the Put of *v*, and before the next write. Then
//!
//! > the history of a key is linearizable if and only if *p(a) ≤ p(b)* for any two operations of
//! > which *a* was answered before *b* was invoked.
//!
//! *If:* arrange the operations in the order of *p*, and hits of the same version, which share a
//! position, in the order of their invocation. (Two writes never share a position.) This order is
//! consistent with the clock: if *a* was answered before *b* was invoked, then either *p(a) <
//! p(b)*, or both are hits of one version and *a* was invoked first. The order also explains the
//! answers: there is no write between a hit and the Put of its version. *Only if:* in any such
//! order, the writes are in the order of their revisions, and a hit comes after the Put of its
//! version and before the next write. That is the order of *p*, and it is consistent with the
//! clock.
//!
//! So a single sweep along the clock decides the question in *O(n log n)*: the highest position
//! among the operations answered so far is a lower bound for the next operation. Linearizability is
//! local, so keys are checked one by one. An invalidation of many keys is a write to each key that
//! it matches. Whether it matches by tag or version depends on what the key held at its revision,
//! which is known: the last earlier write. If an invalidation removes nothing from a key, it isn't
//! a write to the key. It must still have a revision above everything that was written before, to
//! any key, and a second sweep checks that.
//!
//! Conditional Puts read as well as write. [`Rule`] lists what is required of them, and what is
//! required of an answer besides its position.
//!
//! Leases and times of issue are checked with the same sequence: whether a fence came before a Put
//! is a question of their two revisions, and so is whether a Put without the lease came before a
//! fill. A repeated fill is stored once, and receives the same answer each time. Refusals aren't
//! checked, because an unnecessary refusal is always allowed.

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
