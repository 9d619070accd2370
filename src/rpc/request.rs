//! Requests, parsed whole: every field that breaks a rule is named at once.

use std::time::Duration;

use super::{failure::Failure, fields::Fields, proto};
use crate::cache::{Cache, Name, NamespaceName, Now, Put, Target};

/// What a Get asks.
pub(super) struct Get<'a> {
    pub(super) name: Name<'a>,
    pub(super) min_ttl: Duration,
}

/// What an Invalidate asks.
pub(super) struct Invalidate<'a> {
    pub(super) namespace: NamespaceName<'a>,
    pub(super) target: Target<'a>,
}

pub(super) fn get(request: &proto::GetRequest) -> Result<Get<'_>, Failure> {
    let mut fields = Fields::default();
    let name = fields.name(&request.namespace, &request.key);
    let min_ttl = fields.optional_duration("min_ttl", request.min_ttl);
    fields.unsupported("acquire_lease", request.acquire_lease);
    fields.unsupported("wait", request.wait.is_some());
    match (name, min_ttl) {
        (Some(name), Some(min_ttl)) if fields.all_good() => Ok(Get {
            name,
            min_ttl: min_ttl.unwrap_or_default(),
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
    fields.unsupported("issued_at", request.issued_at.is_some());
    fields.unsupported("lease", !request.lease.is_empty());
    match (name, contents, lifetime, refresh_before, tier, precondition) {
        (
            Some(name),
            Some(contents),
            Some(lifetime),
            Some(refresh_before),
            Some(tier),
            Some(precondition),
        ) if fields.all_good() => {
            if request.single_use {
                return Err(Failure::SingleUse);
            }
            Ok(Put {
                name,
                contents,
                lifetime,
                refresh_before,
                tier,
                precondition,
            })
        }
        _ => Err(fields.into()),
    }
}

pub(super) fn invalidate(request: &proto::InvalidateRequest) -> Result<Invalidate<'_>, Failure> {
    let mut fields = Fields::default();
    let namespace = fields.check("namespace", NamespaceName::parse(&request.namespace));
    let target = fields.target(request);
    fields.unsupported("issued_before", request.issued_before.is_some());
    match (namespace, target) {
        (Some(namespace), Some(target)) if fields.all_good() => {
            Ok(Invalidate { namespace, target })
        }
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
