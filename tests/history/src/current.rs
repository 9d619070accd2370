//! Checks that what a lease's holder was answered agrees with the state of the lease.
//!
//! A lease is the key's current lease from its grant until it is filled or abandoned, the key is
//! put without it, an invalidation ends it, or another lease of the key is granted. It may have run
//! out before that.

use std::collections::HashMap;

use crate::{
    leases::{Leases, ends, use_of},
    operation::{Call, Invalidate, Name, Operation, Target},
    violation::{Rule, Violation},
};

/// The operations that end the leases of each key for other holders, by invocation.
type Endings<'a> = HashMap<&'a Name, Vec<&'a Operation>>;

/// Looks for a lease that was filled, extended or abandoned after it had certainly been lost.
pub(crate) fn check_current<'a>(
    history: &'a [Operation],
    leases: &Leases<'a>,
) -> Result<(), Box<Violation>> {
    let endings = endings(history);
    for operation in history {
        let Some((token, name, true)) = use_of(operation) else {
            continue;
        };
        let Some(granted) = leases.granted(token) else {
            continue;
        };
        let of_name = endings.get(name).map_or(&[][..], |of_name| of_name);
        let later = of_name.partition_point(|one| one.span.invoked <= granted.span.answered);
        let ending = of_name[later..]
            .iter()
            .take_while(|one| one.span.invoked < operation.span.answered)
            .find(|one| comes_before(one, operation));
        if let Some(ending) = ending {
            return Err(Violation::of(Rule::Current, &[granted, ending, operation]).into());
        }
    }
    check_extensions(history, leases)
}

/// Checks extensions only: a fill despite an invalidation or an earlier use breaks a rule of its
/// own.
fn check_extensions<'a>(
    history: &'a [Operation],
    leases: &Leases<'a>,
) -> Result<(), Box<Violation>> {
    for operation in history {
        let Call::Extend(extend) = &operation.call else {
            continue;
        };
        let (Some(_), Some(granted)) = (extend.left, leases.granted(extend.lease)) else {
            continue;
        };
        let used_up = leases.used_up(extend.lease);
        let revoked = leases.invalidations.iter().filter(|(one, invalidate)| {
            one.span.invoked > granted.span.answered && revokes(invalidate, &extend.name)
        });
        let mut lost = revoked.map(|(one, _)| *one).chain(used_up);
        if let Some(ending) = lost.find(|one| one.span.answered < operation.span.invoked) {
            return Err(Violation::of(Rule::Current, &[granted, ending, operation]).into());
        }
    }
    Ok(())
}

/// Whether the invalidation certainly ends every lease of the key. With a version that the key
/// doesn't hold, it invalidates nothing.
fn revokes(invalidate: &Invalidate, name: &Name) -> bool {
    match &invalidate.target {
        Target::KeyVersion(..) if invalidate.removed == 0 => false,
        _ => ends(invalidate, name),
    }
}

/// Grants of other leases, and Puts without a lease.
fn endings(history: &[Operation]) -> Endings<'_> {
    let mut endings = Endings::new();
    for operation in history {
        let name = match &operation.call {
            Call::Get(get) if get.lease.is_some() => &get.name,
            Call::Put(put) if put.lease.is_none() && put.outcome.is_ok() => &put.name,
            _ => continue,
        };
        endings.entry(name).or_default().push(operation);
    }
    for of_name in endings.values_mut() {
        of_name.sort_unstable_by_key(|one| one.span.invoked);
    }
    endings
}

/// Whether one operation certainly comes first: for two Puts according to their revisions,
/// otherwise according to the clock.
fn comes_before(ending: &Operation, operation: &Operation) -> bool {
    match (ending.call.revision(), operation.call.revision()) {
        (Some(ending), Some(operation)) => ending < operation,
        _ => ending.span.answered < operation.span.invoked,
    }
}
