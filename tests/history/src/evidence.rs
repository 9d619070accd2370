//! Checks the evidence of Puts against earlier invalidations.

use std::collections::{BTreeMap, HashMap};

use crate::{
    leases::Leases,
    operation::{Call, Invalidate, Name, Operation, Put, Target},
    violation::{Rule, Violation},
};

/// How far ahead of the server's clock an `issued_before` is respected, in nanoseconds.
const LONGEST_AHEAD: u64 = 300 * 1_000_000_000;

/// Looks for a Put that was stored despite a fence: an invalidation with a lower revision that the
/// Put's evidence doesn't clear.
pub(crate) fn check_evidence(
    history: &[Operation],
    puts: &BTreeMap<u64, &Operation>,
    leases: &Leases<'_>,
) -> Result<(), Box<Violation>> {
    let hits = Hits::of(history);
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
            // The lease may have been granted at any time before its answer. But a credential that
            // is hit then or later isn't invalidated yet.
            let by_lease = granted.filter(|granted| {
                let hit = hits.oldest_from(granted).and_then(|hit| puts.get(&hit));
                granted.span.answered < fence.span.invoked
                    || hit.is_some_and(|put| is_taken_by(put, invalidate))
            });
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

/// The hits of each key in the order of their invocation, each with the oldest version that was hit
/// from then on.
struct Hits<'a>(HashMap<&'a Name, Vec<(u64, u64)>>);

impl<'a> Hits<'a> {
    fn of(history: &'a [Operation]) -> Self {
        let mut hits: HashMap<_, Vec<_>> = HashMap::new();
        for operation in history {
            if let Call::Get(get) = &operation.call
                && let Some(hit) = &get.hit
            {
                let of_name = hits.entry(&get.name).or_default();
                of_name.push((operation.span.invoked, hit.version));
            }
        }
        for of_name in hits.values_mut() {
            of_name.sort_unstable();
            let mut oldest = u64::MAX;
            for (_, version) in of_name.iter_mut().rev() {
                oldest = oldest.min(*version);
                *version = oldest;
            }
        }
        Self(hits)
    }

    /// The oldest version that was hit by this Get, or by another Get that began after its answer.
    fn oldest_from(&self, operation: &Operation) -> Option<u64> {
        let Call::Get(get) = &operation.call else {
            return None;
        };
        let own = get.hit.as_ref().map(|hit| hit.version);
        let later = self.0.get(&get.name).and_then(|of_name| {
            let behind = of_name.partition_point(|(at, _)| *at <= operation.span.answered);
            of_name.get(behind).map(|(_, oldest)| *oldest)
        });
        own.into_iter().chain(later).min()
    }
}

/// Whether this invalidation removed the credential of this Put.
fn is_taken_by(put: &Operation, invalidate: &Invalidate) -> bool {
    put.call.stored().is_some_and(|(put, stored)| {
        stored.version < invalidate.revision
            && put.name.namespace == invalidate.namespace
            && invalidate.target.matches(put, stored.version)
    })
}

/// The latest time of issue that is certainly refused. The server read its clock after the call was
/// sent.
fn reach(operation: &Operation, invalidate: &Invalidate) -> u64 {
    let sent = operation.span.wall_before;
    invalidate
        .issued_before
        .unwrap_or(sent)
        .min(sent + LONGEST_AHEAD)
}

/// Whether the invalidation applies to the Put's credential. With a version that the key didn't
/// hold, it invalidates nothing.
fn fences_off(invalidate: &Invalidate, put: &Put) -> bool {
    match &invalidate.target {
        Target::KeyVersion(key, _) => *key == put.name.key && invalidate.removed > 0,
        target => target.matches(put, 0),
    }
}
