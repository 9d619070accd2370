//! A key's credential or miss, as Get and BatchGet return it.

use bytes::Bytes;

use super::{
    proto,
    times::{duration, timestamp},
};
use credcache_core::{Cache, Hit, Miss, MissReason, TierId};

pub(super) fn credential(cache: &Cache, hit: &Hit) -> proto::Credential {
    let view = hit.view();
    proto::Credential {
        value: Bytes::from_owner(hit.value()),
        expires_at: Some(timestamp(view.expires_at())),
        ttl: Some(duration(hit.ttl())),
        refresh_at: Some(timestamp(view.refresh_at())),
        version: view.version().number(),
        tier: tier_name(cache, view.tier()),
        attributes: view
            .attributes()
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        tags: view.tags().iter().map(String::from).collect(),
    }
}

pub(super) fn miss(miss: Miss) -> proto::Miss {
    proto::Miss {
        reason: miss_reason(miss.reason).into(),
        retry_after: miss.retry_after.map(duration),
    }
}

pub(super) fn miss_reason(reason: MissReason) -> proto::MissReason {
    match reason {
        MissReason::NotFound => proto::MissReason::NotFound,
        MissReason::Expired => proto::MissReason::Expired,
        MissReason::Revoked => proto::MissReason::Revoked,
        MissReason::TtlTooShort => proto::MissReason::TtlTooShort,
        MissReason::Pending => proto::MissReason::Pending,
    }
}

pub(super) fn tier_name(cache: &Cache, tier: TierId) -> String {
    cache.tier_spec(tier).name.clone()
}
