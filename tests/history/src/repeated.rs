//! Fills that were repeated because their answer was lost.

use std::collections::HashMap;

use crate::{
    operation::{Call, Operation, Token},
    violation::{Rule, Violation},
};

/// Returns the history with one operation for all repetitions of a fill. The fill was stored after
/// the first repetition was sent, and before any of them was answered.
pub(crate) fn fills_once(history: &[Operation]) -> Result<Vec<Operation>, Box<Violation>> {
    let mut merged: Vec<Operation> = Vec::with_capacity(history.len());
    let mut fills: HashMap<Token, usize> = HashMap::new();
    for operation in history {
        let stored = match &operation.call {
            Call::Put(put) => put.lease.zip(put.outcome.ok()),
            _ => None,
        };
        let Some((token, stored)) = stored else {
            merged.push(operation.clone());
            continue;
        };
        let Some(place) = fills.get(&token) else {
            fills.insert(token, merged.len());
            merged.push(operation.clone());
            continue;
        };
        let first = &mut merged[*place];
        let answers = first.call.stored().map(|(_, stored)| stored);
        if answers.is_none_or(|first| first != stored) {
            return Err(Violation::of(Rule::UsedOnce, &[first, operation]).into());
        }
        let (one, other) = (&mut first.span, operation.span);
        if other.invoked < one.invoked {
            (one.invoked, one.wall_before) = (other.invoked, other.wall_before);
        }
        if other.answered < one.answered {
            (one.answered, one.wall_after) = (other.answered, other.wall_after);
        }
    }
    Ok(merged)
}
