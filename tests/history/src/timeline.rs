//! The operations of one key.

use std::collections::BTreeMap;

use crate::{
    history::Room,
    operation::{Call, Invalidate, Operation, Precondition, Put, Refusal, Stored, Target},
    sweep::{self, Mark, Misfit, Position, sweep},
    violation::{Rule, Violation},
};

#[derive(Default)]
pub(crate) struct Timeline<'a> {
    marks: Vec<Mark<'a>>,
    /// The Puts by version.
    puts: BTreeMap<u64, &'a Operation>,
    /// The invalidations that removed something, by revision.
    invalidated: BTreeMap<u64, &'a Operation>,
    /// The misses and the least lifetime that they requested.
    misses: Vec<(&'a Operation, u64)>,
}

impl<'a> Timeline<'a> {
    pub(crate) fn read(&mut self, operation: &'a Operation, version: u64) {
        self.mark(operation, sweep::hit(version));
    }

    pub(crate) fn miss(&mut self, operation: &'a Operation, min_ttl: u64) {
        self.misses.push((operation, min_ttl));
    }

    pub(crate) fn put(&mut self, operation: &'a Operation, put: &'a Put) {
        match (put.outcome, put.precondition) {
            (Ok(stored), precondition) => {
                // A Put that replaces a version has met that version.
                if let Some(Precondition::Version(version)) = precondition {
                    self.read(operation, version);
                }
                self.puts.insert(stored.version, operation);
                self.mark(operation, sweep::write(stored.version));
            }
            (Err(Refusal::Exists), _) => self.mark(operation, Position::SomeLive),
            // The refusal says as little as a miss.
            (Err(Refusal::VersionDiffers | Refusal::LeaseLost | Refusal::Revoked), _) => {}
        }
    }

    /// Adds an invalidation. All Puts must have been added before. If the key held nothing that the
    /// invalidation covers, the invalidation has no position among the key's writes.
    pub(crate) fn invalidate(&mut self, operation: &'a Operation, invalidate: &Invalidate) {
        let held = self.last_put_before(invalidate.revision);
        if let Some((version, _, put, _)) = held
            && invalidate.target.matches(put, version)
        {
            self.invalidated.insert(invalidate.revision, operation);
            self.mark(operation, sweep::write(invalidate.revision));
        }
    }

    pub(crate) fn check(&self, room: Room) -> Result<(), Box<Violation>> {
        for operation in self.puts.values() {
            if let Some((put, stored)) = operation.call.stored() {
                self.check_precondition(operation, put, stored.version, room)?;
            }
        }
        if room == Room::Ample {
            self.check_misses()?;
            self.check_removals()?;
        }
        sweep(&self.marks, &self.puts).map_err(|misfit| {
            Box::new(match misfit {
                Misfit::Order(first, second) => Violation::of(Rule::Order, &[first, second]),
                Misfit::NothingLive(put) => Violation::of(Rule::RefusedByLive, &[put]),
            })
        })
    }

    fn check_precondition(
        &self,
        operation: &'a Operation,
        put: &Put,
        version: u64,
        room: Room,
    ) -> Result<(), Box<Violation>> {
        let held = self.last_put_before(version);
        match put.precondition {
            None => Ok(()),
            Some(Precondition::Version(asked)) => match held {
                Some((held, ..)) if held == asked => {
                    match self.invalidated.range(held..version).next() {
                        None => Ok(()),
                        Some((_, by)) => Err(Violation::of(Rule::Replaces, &[by, operation])),
                    }
                }
                Some((_, other, ..)) => Err(Violation::of(Rule::Replaces, &[other, operation])),
                None => Err(Violation::of(Rule::Replaces, &[operation])),
            },
            Some(Precondition::Absent) => match held {
                Some((held, other, _, stored))
                    if room == Room::Ample
                        && stored.expires_at > operation.span.wall_after
                        && self.invalidated.range(held..version).next().is_none() =>
                {
                    Err(Violation::of(Rule::StoredByAbsence, &[other, operation]))
                }
                _ => Ok(()),
            },
        }
        .map_err(Box::new)
    }

    /// Checks that an invalidation of a key that held a live credential removed it, unless an
    /// earlier invalidation did.
    fn check_removals(&self) -> Result<(), Box<Violation>> {
        for (revision, operation) in &self.invalidated {
            if let Call::Invalidate(invalidate) = &operation.call
                && matches!(invalidate.target, Target::Key(_) | Target::KeyVersion(..))
                && invalidate.removed == 0
                && let Some((version, put, _, stored)) = self.last_put_before(*revision)
                && stored.expires_at > operation.span.wall_after
                && self.invalidated.range(version..*revision).next().is_none()
            {
                return Err(Violation::of(Rule::Removed, &[put, operation]).into());
            }
        }
        Ok(())
    }

    /// Checks each miss for which every write that was invoked before the miss was answered had
    /// itself been answered before the miss was invoked.
    fn check_misses(&self) -> Result<(), Box<Violation>> {
        let writes = || self.puts.values().chain(self.invalidated.values());
        let mut invoked: Vec<u64> = writes().map(|write| write.span.invoked).collect();
        invoked.sort_unstable();
        let mut answered: Vec<&Operation> = writes().copied().collect();
        answered.sort_by_key(|write| write.span.answered);
        // The latest write in the sequence among the first answered, the first two answered, and so
        // on.
        let latest = answered
            .iter()
            .scan(None, |latest: &mut Option<&'a Operation>, write| {
                if latest.is_none_or(|latest| latest.call.revision() < write.call.revision()) {
                    *latest = Some(write);
                }
                *latest
            });
        let latest: Vec<_> = latest.collect();
        for (miss, min_ttl) in &self.misses {
            let begun = invoked.partition_point(|at| *at < miss.span.answered);
            let done = answered.partition_point(|write| write.span.answered < miss.span.invoked);
            if let Some(last) = done.checked_sub(1).map(|nth| latest[nth])
                && begun == done
                && let Some((_, stored)) = last.call.stored()
                && stored.expires_at > miss.span.wall_after + min_ttl
            {
                return Err(Violation::of(Rule::Kept, &[last, miss]).into());
            }
        }
        Ok(())
    }

    fn last_put_before(&self, revision: u64) -> Option<(u64, &'a Operation, &'a Put, Stored)> {
        let (version, operation) = self.puts.range(..revision).next_back()?;
        let (put, stored) = operation.call.stored()?;
        Some((*version, operation, put, stored))
    }

    fn mark(&mut self, operation: &'a Operation, position: Position) {
        self.marks.push(Mark {
            operation,
            position,
        });
    }
}
