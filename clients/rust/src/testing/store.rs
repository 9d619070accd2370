//! What the test's server holds: the contract, without its bounds.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    clock::{self, BootInstant},
    fetch::ahead,
    proto::{
        self, get_response::Outcome, invalidate_request::Target, put_request::Lifetime,
        put_request::Precondition,
    },
    wire,
};

const LEASE_TTL: Duration = Duration::from_secs(10);
const LARGEST_VALUE: usize = 64 * 1024;

pub(super) type Name = (String, String);

#[derive(Default)]
pub(super) struct Store {
    pub(super) revision: u64,
    pub(super) gets: u64,
    pub(super) puts: u64,
    entries: HashMap<Name, Entry>,
    leases: HashMap<Name, Lease>,
    closed: HashMap<Name, Instant>,
    revoked: HashMap<Name, u64>,
    fences: Vec<Fence>,
}

struct Entry {
    request: proto::PutRequest,
    version: u64,
    deadline: BootInstant,
    expires_at: SystemTime,
    refresh_at: SystemTime,
}

struct Lease {
    token: u64,
    until: Instant,
    granted: u64,
}

struct Fence {
    namespace: String,
    target: Target,
    revision: u64,
    issued_before: SystemTime,
}

/// The answer to a Get, or until when somebody else is fetching.
pub(super) enum Answer {
    Now(Box<proto::GetResponse>),
    Pending(Instant),
}

impl Store {
    pub(super) fn get(&mut self, request: &proto::GetRequest) -> Answer {
        let name = (request.namespace.clone(), request.key.clone());
        let now = Instant::now();
        let least_left = wire::parse_span(request.min_ttl, "min_ttl").unwrap_or_default();
        let boot = BootInstant::now();
        let mut reason = proto::MissReason::NotFound;
        if self.revoked.contains_key(&name) {
            reason = proto::MissReason::Revoked;
        }
        if let Some(entry) = self.entries.get(&name) {
            let left = entry.deadline.since(boot);
            if left.is_zero() {
                reason = proto::MissReason::Expired;
            } else if left < least_left {
                reason = proto::MissReason::TtlTooShort;
            } else {
                let is_due = clock::wall_now() >= entry.refresh_at;
                let credential = entry.credential(left);
                let lease = (request.acquire_lease && is_due)
                    .then(|| self.grant(&name, request.lease_ttl, now))
                    .flatten();
                return Answer::Now(Box::new(proto::GetResponse {
                    outcome: Some(Outcome::Credential(credential)),
                    lease,
                }));
            }
        }
        let closed = self.closed.get(&name).copied();
        let closed = closed.filter(|until| *until > now);
        if let Some(lease) = self.leases.get(&name).filter(|lease| lease.until > now) {
            return Answer::Pending(lease.until);
        }
        let lease = match closed {
            None if request.acquire_lease => self.grant(&name, request.lease_ttl, now),
            _ => None,
        };
        let retry_after = closed.map(|until| until - now);
        Answer::Now(Box::new(miss(reason, retry_after, lease)))
    }

    fn grant(
        &mut self,
        name: &Name,
        ttl: Option<prost_types::Duration>,
        now: Instant,
    ) -> Option<proto::Lease> {
        let ttl = lease_ttl(ttl);
        if self.leases.get(name).is_some_and(|lease| lease.until > now) {
            return None;
        }
        let token = fastrand::u64(..);
        self.leases.insert(
            name.clone(),
            Lease {
                token,
                until: now + ttl,
                granted: self.revision,
            },
        );
        Some(proto::Lease {
            token: token.to_be_bytes().to_vec().into(),
            ttl: Some(wire::span(ttl)),
        })
    }

    pub(super) fn put(&mut self, request: proto::PutRequest) -> Result<proto::PutResponse, Status> {
        if request.single_use {
            return Err(refused(Code::FailedPrecondition, "SINGLE_USE"));
        }
        for (field, breaks_a_rule) in [
            ("namespace", request.namespace.is_empty()),
            ("key", request.key.is_empty()),
            ("value", !(1..=LARGEST_VALUE).contains(&request.value.len())),
        ] {
            if breaks_a_rule {
                return Err(invalid(field));
            }
        }
        let (boot, wall) = (BootInstant::now(), clock::wall_now());
        let left = match request.lifetime {
            Some(Lifetime::Ttl(ttl)) => wire::parse_span(Some(ttl), "ttl").ok(),
            Some(Lifetime::ExpiresAt(at)) => wire::parse_time(Some(at), "expires_at")
                .ok()
                .and_then(|at| at.duration_since(wall).ok()),
            None => None,
        };
        let left = left.filter(|left| !left.is_zero());
        let left = left.ok_or_else(|| invalid("lifetime"))?;
        let name = (request.namespace.clone(), request.key.clone());
        self.admit(&name, &request)?;

        self.revision += 1;
        self.puts += 1;
        let expires_at = wall.checked_add(left).unwrap_or(wall);
        let before = wire::parse_span(request.refresh_before, "refresh_before");
        let before = before.unwrap_or_else(|_| ahead(left)).min(left);
        let entry = Entry {
            version: self.revision,
            deadline: boot.after(left),
            expires_at,
            refresh_at: expires_at.checked_sub(before).unwrap_or(expires_at),
            request,
        };
        self.leases.remove(&name);
        self.closed.remove(&name);
        self.revoked.remove(&name);
        self.entries.insert(name, entry);
        Ok(proto::PutResponse {
            version: self.revision,
            tier: "testing".into(),
            expires_at: Some(expires_at.into()),
        })
    }

    /// Whether preconditions, lease and fences let a Put in.
    fn admit(&self, name: &Name, request: &proto::PutRequest) -> Result<(), Status> {
        let boot = BootInstant::now();
        let live = self.entries.get(name).filter(|entry| entry.deadline > boot);
        match request.precondition {
            Some(Precondition::IfAbsent(true)) if live.is_some() => {
                return Err(refused(Code::AlreadyExists, "KEY_LIVE"));
            }
            Some(Precondition::IfVersion(version))
                if live.is_none_or(|live| live.version != version) =>
            {
                return Err(refused(Code::Aborted, "VERSION_DIFFERS"));
            }
            _ => {}
        }
        let granted = if request.lease_token.is_empty() {
            None
        } else {
            let lease = self.leases.get(name);
            let lease = lease.filter(|lease| request.lease_token[..] == lease.token.to_be_bytes());
            let lease = lease.ok_or_else(|| refused(Code::Aborted, "LEASE_LOST"))?;
            Some(lease.granted)
        };
        let issued_at = wire::parse_time(request.issued_at, "issued_at").ok();
        let fenced = self.fences.iter().any(|fence| {
            fence.covers(&request.namespace, &request.key, &request.tags)
                && (granted.is_some_and(|granted| granted < fence.revision)
                    || issued_at.is_some_and(|at| at <= fence.issued_before))
        });
        match fenced {
            true => Err(refused(Code::Aborted, "REVOKED")),
            false => Ok(()),
        }
    }

    pub(super) fn invalidate(
        &mut self,
        request: proto::InvalidateRequest,
    ) -> Result<proto::InvalidateResponse, Status> {
        let target = request.target.ok_or_else(|| invalid("target"))?;
        self.revision += 1;
        let issued_before = wire::parse_time(request.issued_before, "issued_before");
        let fence = Fence {
            namespace: request.namespace,
            target,
            revision: self.revision,
            issued_before: issued_before.unwrap_or_else(|_| clock::wall_now()),
        };
        let boot = BootInstant::now();
        let covered: Vec<Name> = self
            .entries
            .iter()
            .filter(|((namespace, key), entry)| {
                fence.covers(namespace, key, &entry.request.tags)
                    && request
                        .if_version
                        .is_none_or(|version| version == entry.version)
            })
            .map(|(name, _)| name.clone())
            .collect();
        let mut removed = 0;
        for name in covered {
            if let Some(entry) = self.entries.remove(&name) {
                removed += u64::from(entry.deadline > boot);
                self.revoked.insert(name, self.revision);
            }
        }
        // Another version than the one that was named stays, and so does who
        // fetches the next.
        if request.if_version.is_none() || removed > 0 {
            self.fences.push(fence);
        }
        Ok(proto::InvalidateResponse {
            removed,
            revision: self.revision,
        })
    }

    /// Answers how long the lease lasts now.
    pub(super) fn extend(
        &mut self,
        request: &proto::ExtendLeaseRequest,
    ) -> Result<Duration, Status> {
        let name = (request.namespace.clone(), request.key.clone());
        let lease = self.leases.get_mut(&name);
        let lease = lease.filter(|lease| request.lease_token[..] == lease.token.to_be_bytes());
        let lease = lease.ok_or_else(|| refused(Code::Aborted, "LEASE_LOST"))?;
        let now = Instant::now();
        lease.until = lease.until.max(now + lease_ttl(request.lease_ttl));
        Ok(lease.until - now)
    }

    pub(super) fn abandon(&mut self, request: &proto::AbandonLeaseRequest) -> Result<(), Status> {
        let name = (request.namespace.clone(), request.key.clone());
        let lease = self.leases.get(&name);
        if lease.is_none_or(|lease| request.lease_token[..] != lease.token.to_be_bytes()) {
            return Err(refused(Code::Aborted, "LEASE_LOST"));
        }
        self.leases.remove(&name);
        if let Ok(retry_after) = wire::parse_span(request.retry_after, "retry_after") {
            self.closed.insert(name, Instant::now() + retry_after);
        }
        Ok(())
    }
}

fn lease_ttl(asked: Option<prost_types::Duration>) -> Duration {
    wire::parse_span(asked, "lease_ttl").unwrap_or(LEASE_TTL)
}

impl Entry {
    fn credential(&self, left: Duration) -> proto::Credential {
        proto::Credential {
            value: self.request.value.clone(),
            expires_at: Some(self.expires_at.into()),
            ttl: Some(wire::span(left)),
            refresh_at: Some(self.refresh_at.into()),
            version: self.version,
            tier: "testing".into(),
            attributes: self.request.attributes.clone(),
            tags: each_once(&self.request.tags),
        }
    }
}

/// As the server keeps them.
fn each_once(tags: &[String]) -> Vec<String> {
    let tags: BTreeSet<_> = tags.iter().collect();
    tags.into_iter().cloned().collect()
}

impl Fence {
    fn covers(&self, namespace: &str, key: &str, tags: &[String]) -> bool {
        self.namespace == namespace
            && match &self.target {
                Target::Key(of) => of == key,
                Target::KeyPrefix(prefix) => key.starts_with(prefix.as_str()),
                Target::Tag(tag) => tags.contains(tag),
                Target::All(_) => true,
            }
    }
}

pub(super) fn miss(
    reason: proto::MissReason,
    retry_after: Option<Duration>,
    lease: Option<proto::Lease>,
) -> proto::GetResponse {
    let miss = proto::Miss {
        reason: reason.into(),
        retry_after: retry_after.map(wire::span),
    };
    proto::GetResponse {
        outcome: Some(Outcome::Miss(miss)),
        lease,
    }
}

fn refused(code: Code, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "credcache", []);
    Status::with_error_details(code, "refused by the test's server", details)
}

fn invalid(field: &str) -> Status {
    let mut details = ErrorDetails::with_error_info("INVALID_FIELD", "credcache", []);
    details.add_bad_request_violation(field, "breaks a rule of the contract");
    Status::with_error_details(Code::InvalidArgument, "a field breaks a rule", details)
}
