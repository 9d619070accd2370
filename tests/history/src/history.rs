//! The check of a complete history.

use std::collections::{BTreeMap, HashMap};

use crate::{
    current::check_current,
    evidence::check_evidence,
    leases::Leases,
    operation::{Call, Name, Operation},
    repeated::fills_once,
    sweep::{self, Mark, Misfit, sweep},
    timeline::Timeline,
    violation::{Rule, Violation},
};

/// Whether the cache had room for everything that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Nothing was evicted, and no more was refused or removed than requested, so each miss needs a
    /// reason.
    Ample,
    /// Entries may have been evicted, so a miss needs no reason.
    Tight,
}

/// Looks for a broken rule. The history must contain every write from the start of the server. It
/// may omit Gets, except those that were answered with a lease that was used. It must be shorter
/// than the longest tier's `max_ttl`, because an invalidation is remembered for that long.
///
/// # Errors
/// The first broken rule that is found.
pub fn check(history: &[Operation], room: Room) -> Result<(), Box<Violation>> {
    let history = fills_once(history)?;
    let history = history.as_slice();
    let puts = puts_by_version(history)?;
    let mut timelines: HashMap<&Name, Timeline<'_>> = HashMap::new();
    for operation in history {
        match &operation.call {
            Call::Get(get) => {
                let timeline = timelines.entry(&get.name).or_default();
                match &get.hit {
                    Some(found) => {
                        let put = *puts
                            .get(&found.version)
                            .ok_or_else(|| Violation::of(Rule::Put, &[operation]))?;
                        own_answer(put, operation)?;
                        timeline.read(operation, found.version);
                    }
                    None => timeline.miss(operation, get.min_ttl),
                }
            }
            Call::Put(put) => timelines.entry(&put.name).or_default().put(operation, put),
            Call::Invalidate(_) | Call::Extend(_) | Call::Abandon(_) => {}
        }
    }
    check_sequence(history)?;
    let leases = Leases::of(history)?;
    leases.check_holders(history, room)?;
    check_current(history, &leases)?;
    check_evidence(history, &puts, &leases)?;
    for operation in history {
        if let Call::Invalidate(invalidate) = &operation.call {
            for (name, timeline) in &mut timelines {
                if name.namespace == invalidate.namespace {
                    timeline.invalidate(operation, invalidate);
                }
            }
        }
    }
    for timeline in timelines.values() {
        timeline.check(room)?;
    }
    Ok(())
}

/// The Puts by version, provided that every write has a different revision.
fn puts_by_version(history: &[Operation]) -> Result<BTreeMap<u64, &Operation>, Box<Violation>> {
    let mut writes = BTreeMap::new();
    for operation in history {
        if let Some(revision) = operation.call.revision()
            && let Some(other) = writes.insert(revision, operation)
        {
            return Err(Violation::of(Rule::OneRevisionEach, &[other, operation]).into());
        }
    }
    writes.retain(|_, operation| matches!(operation.call, Call::Put(_)));
    Ok(writes)
}

/// Checks that all writes are in the order of their revisions.
fn check_sequence(history: &[Operation]) -> Result<(), Box<Violation>> {
    let marks: Vec<_> = history.iter().filter_map(in_sequence).collect();
    if let Err(Misfit::Order(first, second)) = sweep(&marks, &BTreeMap::new()) {
        return Err(Violation::of(Rule::RevisionsInOrder, &[first, second]).into());
    }
    Ok(())
}

/// The position of an operation in the server's sequence of changes.
fn in_sequence(operation: &Operation) -> Option<Mark<'_>> {
    let position = match &operation.call {
        Call::Get(get) => sweep::seen(get.hit.as_ref()?.version),
        call => sweep::write(call.revision()?),
    };
    Some(Mark {
        operation,
        position,
    })
}

/// Checks a hit against its Put, except for its position.
fn own_answer(put: &Operation, get: &Operation) -> Result<(), Box<Violation>> {
    let (Some((asked, stored)), Call::Get(got)) = (put.call.stored(), &get.call) else {
        return Ok(());
    };
    let Some(hit) = &got.hit else {
        return Ok(());
    };
    let broken = if asked.name != got.name {
        Rule::Name
    } else if asked.value != hit.value {
        Rule::Value
    } else if put.span.invoked > get.span.answered {
        Rule::Past
    } else if stored.expires_at <= get.span.wall_before {
        Rule::Lifetime
    } else if hit.expires_at > stored.expires_at {
        Rule::LifetimeKept
    } else {
        return Ok(());
    };
    Err(Violation::of(broken, &[put, get]).into())
}
