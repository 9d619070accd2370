//! Requests, parsed whole: every field that breaks a rule is named at once.

use std::time::Duration;

use super::{failure::Failure, fields::Fields, proto};
use credcache_core::{
    Cache, Invalidate, Invalidation, Name, NamespaceName, Now, Put, Token, WatchFrom,
};

/// What a Get asks.
pub(super) struct Get<'a> {
    pub(super) name: Name<'a>,
    pub(super) min_ttl: Duration,
    pub(super) acquire_lease: bool,
    pub(super) lease_ttl: Option<Duration>,
    /// Zero for one that doesn't wait.
    pub(super) wait: Duration,
}

/// What an ExtendLease asks.
pub(super) struct ExtendLease<'a> {
    pub(super) name: Name<'a>,
    pub(super) token: Token,
    pub(super) lease_ttl: Option<Duration>,
}

/// What an AbandonLease asks.
pub(super) struct AbandonLease<'a> {
    pub(super) name: Name<'a>,
    pub(super) token: Token,
    pub(super) retry_after: Duration,
}

/// What a Watch asks.
pub(super) struct Watch<'a> {
    pub(super) namespace: NamespaceName<'a>,
    pub(super) from: WatchFrom,
}

pub(super) fn get(request: &proto::GetRequest) -> Result<Get<'_>, Failure> {
    let mut fields = Fields::default();
    let name = fields.name(&request.namespace, &request.key);
    let min_ttl = fields.optional_duration("min_ttl", request.min_ttl);
    let wait = fields.optional_duration("wait", request.wait);
    let lease_ttl = fields.lease_ttl(request.lease_ttl);
    match (name, min_ttl, wait, lease_ttl) {
        (Some(name), Some(min_ttl), Some(wait), Some(lease_ttl)) => Ok(Get {
            name,
            min_ttl: min_ttl.unwrap_or_default(),
            acquire_lease: request.acquire_lease,
            lease_ttl,
            wait: wait.unwrap_or_default(),
        }),
        _ => Err(fields.into()),
    }
}

pub(super) fn put<'a>(
    request: &'a proto::PutRequest,
    cache: &Cache,
    now: Now,
) -> Result<Put<'a>, Failure> {
    let mut fields = Fields::default();
    let name = fields.name(&request.namespace, &request.key);
    let contents = fields.contents(request, cache);
    let lifetime = fields.lifetime(request.lifetime.as_ref(), now);
    let refresh_before = fields.optional_duration("refresh_before", request.refresh_before);
    let tier = fields.tier(&request.tier, cache);
    let precondition = fields.precondition(request.precondition.as_ref());
    let issued_at = fields.issued_at(request.issued_at, now);
    let lease = fields.optional_token(&request.lease_token);
    match (
        name,
        contents,
        lifetime,
        refresh_before,
        tier,
        precondition,
        issued_at,
        lease,
    ) {
        (
            Some(name),
            Some(contents),
            Some(lifetime),
            Some(refresh_before),
            Some(tier),
            Some(precondition),
            Some(issued_at),
            Some(lease),
        ) => {
            if request.single_use {
                return Err(Failure::SingleUse);
            }
            Ok(Put {
                name,
                contents,
                lifetime,
                refresh_before,
                tier,
                issued_at,
                lease,
                precondition,
            })
        }
        _ => Err(fields.into()),
    }
}

pub(super) fn invalidate(
    request: &proto::InvalidateRequest,
    now: Now,
) -> Result<Invalidation, Failure> {
    let mut fields = Fields::default();
    let namespace = fields.check("namespace", NamespaceName::parse(&request.namespace));
    let target = fields.target(request);
    let issued_before = fields.issued_before(request.issued_before, now);
    match (namespace, target, issued_before) {
        (Some(namespace), Some(target), Some(issued_before)) => Ok(Invalidate {
            namespace,
            target,
            issued_before,
        }
        .into()),
        _ => Err(fields.into()),
    }
}

pub(super) fn extend_lease(
    request: &proto::ExtendLeaseRequest,
) -> Result<ExtendLease<'_>, Failure> {
    let mut fields = Fields::default();
    let name = fields.name(&request.namespace, &request.key);
    let token = fields.token("lease_token", &request.lease_token);
    let lease_ttl = fields.lease_ttl(request.lease_ttl);
    match (name, token, lease_ttl) {
        (Some(name), Some(token), Some(lease_ttl)) => Ok(ExtendLease {
            name,
            token,
            lease_ttl,
        }),
        _ => Err(fields.into()),
    }
}

pub(super) fn abandon_lease(
    request: &proto::AbandonLeaseRequest,
) -> Result<AbandonLease<'_>, Failure> {
    let mut fields = Fields::default();
    let name = fields.name(&request.namespace, &request.key);
    let token = fields.token("lease_token", &request.lease_token);
    let retry_after = fields.optional_duration("retry_after", request.retry_after);
    match (name, token, retry_after) {
        (Some(name), Some(token), Some(retry_after)) => Ok(AbandonLease {
            name,
            token,
            retry_after: retry_after.unwrap_or_default(),
        }),
        _ => Err(fields.into()),
    }
}

/// `instance` is the id of the server that is asked.
pub(super) fn watch<'a>(
    request: &'a proto::WatchRequest,
    instance: &str,
) -> Result<Watch<'a>, Failure> {
    let mut fields = Fields::default();
    let namespace = fields.check("namespace", NamespaceName::parse(&request.namespace));
    let from = match (request.instance_id.as_str(), request.start_revision) {
        ("", 0) => Some(WatchFrom::Now),
        ("", _) => fields.refuse("instance_id", "is required with start_revision"),
        (id, _) if id != instance => Some(WatchFrom::Elsewhere),
        (_, 0) => Some(WatchFrom::Now),
        (_, revision) => Some(WatchFrom::After(revision)),
    };
    match (namespace, from) {
        (Some(namespace), Some(from)) => Ok(Watch { namespace, from }),
        _ => Err(fields.into()),
    }
}

pub(super) fn stats(request: &proto::StatsRequest) -> Result<Option<NamespaceName<'_>>, Failure> {
    if request.namespace.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::default();
    let namespace = fields.check("namespace", NamespaceName::parse(&request.namespace));
    if namespace.is_some() {
        Ok(namespace)
    } else {
        Err(fields.into())
    }
}
