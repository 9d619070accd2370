//! What a Put says of when its credential was fetched, beside what was
//! invalidated since.

use std::collections::HashMap;

use crate::{
    leases::Leases,
    operation::{Call, Invalidate, Operation, Put, Target},
    violation::{Rule, Violation},
};

/// How far ahead of the server's clock an `issued_before` counts, in
/// nanoseconds.
const LONGEST_AHEAD: u64 = 300 * 1_000_000_000;

/// Looks for a Put that was stored though a fence stood in its way: an
/// invalidation of a lower revision that its evidence doesn't clear.
pub(crate) fn check_evidence(
    history: &[Operation],
    leases: &Leases<'_>,
) -> Result<(), Box<Violation>> {
    let mut fences: HashMap<&str, Vec<(&Operation, &Invalidate)>> = HashMap::new();
    for operation in history {
        if let Call::Invalidate(invalidate) = &operation.call {
            let of_namespace = fences.entry(&invalidate.namespace).or_default();
            of_namespace.push((operation, invalidate));
        }
    }
    for operation in history {
        let Some((put, stored)) = operation.call.stored() else {
            continue;
        };
        let granted = put.lease.and_then(|token| leases.granted(token));
        for (fence, invalidate) in fences.get(&*put.name.namespace).into_iter().flatten() {
            if invalidate.revision > stored.version {
                continue;
            }
            // A lease may be granted at any time until it is answered.
            let by_lease = granted.filter(|granted| granted.span.answered < fence.span.invoked);
            let by_issue = put
                .issued_at
                .filter(|issued_at| *issued_at <= reach(fence, invalidate));
            if (by_lease.is_some() || by_issue.is_some()) && fences_off(invalidate, put) {
                return Err(match by_lease {
                    Some(granted) => Violation::of(Rule::Fenced, &[granted, fence, operation]),
                    None => Violation::of(Rule::Issued, &[fence, operation]),
                }
                .into());
            }
        }
    }
    Ok(())
}

/// Up to when what was issued is refused: at the least, for the server read its
/// clock after the call was sent.
fn reach(operation: &Operation, invalidate: &Invalidate) -> u64 {
    let sent = operation.span.wall_before;
    invalidate
        .issued_before
        .unwrap_or(sent)
        .min(sent + LONGEST_AHEAD)
}

/// Whether what the Put brings may be what was revoked. What names a version
/// that the key didn't hold revokes nothing.
fn fences_off(invalidate: &Invalidate, put: &Put) -> bool {
    match &invalidate.target {
        Target::KeyVersion(key, _) => *key == put.name.key && invalidate.removed > 0,
        target => target.matches(put, 0),
    }
}
