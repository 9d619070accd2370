//! Who held which lease, as far as that is certain.

use std::collections::HashMap;

use crate::{
    history::Room,
    operation::{Call, Granted, Invalidate, Name, Operation, Target, Token},
    violation::{Rule, Violation},
};

/// The leases of a history. Each is granted once and used at most once.
#[derive(Default)]
pub(crate) struct Leases<'a> {
    granted: HashMap<Token, &'a Operation>,
    by_name: HashMap<&'a Name, Vec<(&'a Operation, Granted)>>,
    /// When each lease was first used, or when its use was first tried.
    used: HashMap<Token, u64>,
    used_up: HashMap<Token, &'a Operation>,
    extended: HashMap<Token, Vec<(&'a Operation, u64)>>,
    pub(crate) invalidations: Vec<(&'a Operation, &'a Invalidate)>,
}

impl<'a> Leases<'a> {
    pub(crate) fn of(history: &'a [Operation]) -> Result<Self, Box<Violation>> {
        let mut leases = Self::default();
        for operation in history {
            if let Call::Get(get) = &operation.call
                && let Some(lease) = get.lease
            {
                if let Some(other) = leases.granted.insert(lease.token, operation) {
                    return Err(Violation::of(Rule::GrantedOnce, &[other, operation]).into());
                }
                let of_name = leases.by_name.entry(&get.name).or_default();
                of_name.push((operation, lease));
            }
        }
        leases.invalidations = history.iter().filter_map(invalidation).collect();
        for operation in history {
            let Some((token, name, accepted)) = use_of(operation) else {
                continue;
            };
            let extends = matches!(operation.call, Call::Extend(_));
            if !extends {
                let first = leases.used.entry(token).or_insert(u64::MAX);
                *first = operation.span.invoked.min(*first);
            }
            if !accepted {
                continue;
            }
            let grant = leases.granted.get(&token);
            if grant.is_none_or(|grant| !is_of(grant, name)) {
                return Err(Violation::of(Rule::Granted, &[operation]).into());
            }
            if let Call::Extend(extend) = &operation.call {
                let of_lease = leases.extended.entry(token).or_default();
                of_lease.extend(extend.left.map(|left| (operation, left)));
            } else if let Some(other) = leases.used_up.insert(token, operation) {
                return Err(Violation::of(Rule::UsedOnce, &[other, operation]).into());
            }
        }
        Ok(leases)
    }

    /// The Get that was answered with this lease.
    pub(crate) fn granted(&self, token: Token) -> Option<&'a Operation> {
        self.granted.get(&token).copied()
    }

    /// The operation that used the lease.
    pub(crate) fn used_up(&self, token: Token) -> Option<&'a Operation> {
        self.used_up.get(&token).copied()
    }

    /// Looks for a lease that was granted while another lease of the same key was certainly held. A
    /// lease is certainly held from its answer, or from the answer to its extension, until it is
    /// used, it runs out, or a Put without it or an invalidation may have ended it.
    pub(crate) fn check_holders(
        &self,
        history: &[Operation],
        room: Room,
    ) -> Result<(), Box<Violation>> {
        for (name, granted) in &self.by_name {
            let invalidations = self.invalidations.iter();
            let mut endings: Vec<_> = invalidations
                .filter(|(_, invalidate)| room == Room::Tight || ends(invalidate, name))
                .map(|(ending, _)| ending.span)
                .chain(
                    history
                        .iter()
                        .filter(|put| supersedes(put, name))
                        .map(|put| put.span),
                )
                .collect();
            endings.sort_unstable_by_key(|ending| ending.invoked);
            let mut granted = granted.clone();
            granted.sort_unstable_by_key(|(operation, _)| operation.span.invoked);
            for (first, lease) in &granted {
                let used = self.used.get(&lease.token).copied().unwrap_or(u64::MAX);
                let revoked = endings
                    .iter()
                    .find(|ending| ending.answered > first.span.invoked)
                    .map_or(u64::MAX, |ending| ending.invoked);
                let held_until = used.min(revoked);
                let extended = self.extended.get(&lease.token).into_iter().flatten();
                let holds = std::iter::once((*first, lease.ttl)).chain(extended.copied());
                for (hold, left) in holds {
                    let over = hold.span.wall_before + left;
                    let later = granted
                        .partition_point(|(other, _)| other.span.invoked <= hold.span.answered);
                    let beside = granted[later..]
                        .iter()
                        .take_while(|(other, _)| other.span.invoked < held_until)
                        .find(|(other, _)| {
                            other.span.answered < held_until && other.span.wall_after < over
                        });
                    if let Some((second, _)) = beside {
                        return Err(Violation::of(Rule::OneHolder, &[hold, second]).into());
                    }
                }
            }
        }
        Ok(())
    }
}

/// The lease that a call used or tried to use, and whether it succeeded.
pub(crate) fn use_of(operation: &Operation) -> Option<(Token, &Name, bool)> {
    match &operation.call {
        Call::Put(put) => Some((put.lease?, &put.name, put.outcome.is_ok())),
        Call::Extend(extend) => Some((extend.lease, &extend.name, extend.left.is_some())),
        Call::Abandon(abandon) => Some((abandon.lease, &abandon.name, abandon.accepted)),
        Call::Get(_) | Call::Invalidate(_) => None,
    }
}

fn is_of(operation: &Operation, name: &Name) -> bool {
    matches!(&operation.call, Call::Get(get) if get.name == *name)
}

fn invalidation(operation: &Operation) -> Option<(&Operation, &Invalidate)> {
    match &operation.call {
        Call::Invalidate(invalidate) => Some((operation, invalidate)),
        _ => None,
    }
}

/// Whether the operation is a Put of the key without a lease, which ends the key's lease.
fn supersedes(operation: &Operation, name: &Name) -> bool {
    match &operation.call {
        Call::Put(put) => put.lease.is_none() && put.outcome.is_ok() && put.name == *name,
        _ => false,
    }
}

/// Whether the invalidation ends an unused lease of the key. An invalidation by tag doesn't,
/// because the tags become known with the Put.
pub(crate) fn ends(invalidate: &Invalidate, name: &Name) -> bool {
    invalidate.namespace == name.namespace
        && match &invalidate.target {
            Target::Key(key) | Target::KeyVersion(key, _) => *key == name.key,
            Target::Prefix(prefix) => name.key.starts_with(prefix),
            Target::Tag(_) => false,
            Target::All => true,
        }
}
