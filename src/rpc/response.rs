//! Answers, from domain to wire.

use std::time::Duration;

use bytes::Bytes;

use super::{Instance, proto};
use crate::cache::{
    Cache, Count, Counts, Hit, Invalidated, Lookup, MissReason, Stored, TierCount, TierId, WallTime,
};

pub(super) fn get(cache: &Cache, lookup: Lookup) -> proto::GetResponse {
    use proto::get_response::Outcome;
    let outcome = match lookup {
        Lookup::Hit(hit) => Outcome::Credential(credential(cache, &hit)),
        Lookup::Miss(reason) => Outcome::Miss(miss(reason)),
    };
    proto::GetResponse {
        outcome: Some(outcome),
        lease: None,
    }
}

fn credential(cache: &Cache, hit: &Hit) -> proto::Credential {
    proto::Credential {
        value: Bytes::from_owner(hit.value()),
        expires_at: Some(timestamp(hit.expires_at())),
        ttl: Some(duration(hit.ttl())),
        refresh_at: Some(timestamp(hit.refresh_at())),
        version: hit.version().number(),
        tier: tier_name(cache, hit.tier()),
        attributes: hit
            .attributes()
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    }
}

fn miss(reason: MissReason) -> proto::Miss {
    let reason = match reason {
        MissReason::NotFound => proto::MissReason::NotFound,
        MissReason::Expired => proto::MissReason::Expired,
        MissReason::TtlTooShort => proto::MissReason::TtlTooShort,
    };
    proto::Miss {
        reason: reason.into(),
        retry_after: None,
    }
}

pub(super) fn put(cache: &Cache, stored: Stored) -> proto::PutResponse {
    proto::PutResponse {
        version: stored.version.number(),
        tier: tier_name(cache, stored.tier),
        expires_at: Some(timestamp(stored.expires_at)),
    }
}

pub(super) fn invalidate(invalidated: Invalidated) -> proto::InvalidateResponse {
    proto::InvalidateResponse {
        removed: invalidated.removed,
        revision: invalidated.revision.number(),
    }
}

pub(super) fn stats(cache: &Cache, counts: &Counts, instance: &Instance) -> proto::StatsResponse {
    let tiers = cache.tiers().map(|(id, spec)| proto::TierStats {
        name: spec.name.clone(),
        max_ttl: Some(duration(spec.max_ttl)),
        capacity_bytes: spec.capacity,
        used_bytes: counts.of_tier(id, TierCount::UsedBytes),
        entries: counts.of_tier(id, TierCount::Entries),
        hits: counts.of_tier(id, TierCount::Hits),
        evictions: counts.of_tier(id, TierCount::Evictions),
        expirations: counts.of_tier(id, TierCount::Expirations),
    });
    let tiers: Vec<_> = tiers.collect();
    proto::StatsResponse {
        server: Some(proto::ServerInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            instance_id: instance.id().into(),
            started_at: Some(timestamp(instance.started_at)),
        }),
        hits: tiers.iter().map(|tier| tier.hits).sum(),
        misses: Some(proto::MissCounts {
            not_found: counts.of(Count::NotFound),
            expired: counts.of(Count::Expired),
            ttl_too_short: counts.of(Count::TtlTooShort),
            ..Default::default()
        }),
        puts: counts.of(Count::Puts),
        puts_refused: counts.of(Count::PutsRefused),
        invalidations: counts.of(Count::Invalidations),
        invalidated: counts.of(Count::Invalidated),
        leases: Some(proto::LeaseStats::default()),
        revision: cache.revision(),
        tiers,
        namespaces: cache.namespaces() as u64,
    }
}

fn tier_name(cache: &Cache, tier: TierId) -> String {
    cache.tier_spec(tier).name.clone()
}

fn timestamp(at: WallTime) -> prost_types::Timestamp {
    let prost_types::Duration { seconds, nanos } = duration(at.since_unix());
    prost_types::Timestamp { seconds, nanos }
}

fn duration(duration: Duration) -> prost_types::Duration {
    // Every duration here is below ten years, every instant before the year
    // 2554.
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos().cast_signed(),
    }
}
