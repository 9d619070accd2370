//! The sweep along the clock.

use std::collections::BTreeMap;

use crate::operation::Operation;

/// An operation and its position.
#[derive(Clone, Copy)]
pub(crate) struct Mark<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) position: Position,
}

/// The position of an operation among the writes of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// This position: see [`write()`] and [`hit`].
    At(u64),
    /// This position, which is a lower bound for later operations only.
    Seen(u64),
    /// A position at which some credential was live; which one is unknown.
    SomeLive,
}

/// The position of a write with this revision.
pub(crate) fn write(revision: u64) -> Position {
    Position::At(2 * revision)
}

/// The position of a hit of this version.
pub(crate) fn hit(version: u64) -> Position {
    Position::At(2 * version + 1)
}

/// The position of a hit of this version among the writes of all keys. Hits of other keys may come
/// later and still have a lower position.
pub(crate) fn seen(version: u64) -> Position {
    Position::Seen(2 * version + 1)
}

/// A violation of the order.
pub(crate) enum Misfit<'a> {
    /// The second operation was invoked after the first was answered, but has a lower position.
    Order(&'a Operation, &'a Operation),
    /// No live credential existed that this operation could have met.
    NothingLive(&'a Operation),
}

/// Looks for an operation with a position below that of an operation that was answered before it
/// began. `live` are the Puts that an operation of unknown position may have met, by version.
pub(crate) fn sweep<'a>(
    marks: &[Mark<'a>],
    live: &BTreeMap<u64, &'a Operation>,
) -> Result<(), Misfit<'a>> {
    let mut by_invocation: Vec<usize> = (0..marks.len()).collect();
    by_invocation.sort_by_key(|nth| marks[*nth].operation.span.invoked);
    let mut by_answer = by_invocation.clone();
    by_answer.sort_by_key(|nth| marks[*nth].operation.span.answered);
    let mut by_answer = by_answer.into_iter().peekable();

    // An operation that was answered before another began was also invoked before it, so its
    // position is settled when it is needed.
    let mut settled = vec![0; marks.len()];
    let mut highest: Option<(u64, &Operation)> = None;
    for nth in by_invocation {
        let mark = marks[nth];
        let span = mark.operation.span;
        while let Some(before) =
            by_answer.next_if(|before| marks[*before].operation.span.answered < span.invoked)
        {
            if highest.is_none_or(|(position, _)| position < settled[before]) {
                highest = Some((settled[before], marks[before].operation));
            }
        }
        let least = highest.map_or(0, |(position, _)| position);
        settled[nth] = match mark.position {
            Position::At(position) | Position::Seen(position) => position,
            // The lowest possible position, because it leaves the most room for later operations.
            Position::SomeLive => live
                .range(least / 2..)
                .map(|(version, put)| (2 * version + 1, put))
                .find(|(position, put)| {
                    let ended = put
                        .call
                        .stored()
                        .is_none_or(|(_, stored)| stored.expires_at <= span.wall_before);
                    *position >= least && put.span.invoked < span.answered && !ended
                })
                .map(|(position, _)| position)
                .ok_or(Misfit::NothingLive(mark.operation))?,
        };
        if let Some((position, before)) = highest
            && position > settled[nth]
            && !matches!(mark.position, Position::Seen(_))
        {
            return Err(Misfit::Order(before, mark.operation));
        }
    }
    Ok(())
}
