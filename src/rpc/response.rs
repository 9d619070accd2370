//! Answers, from domain to wire.

use std::time::Duration;

use bytes::Bytes;

use super::{Instance, proto};
use credcache_core::{
    Cache, Change, Count, Counts, Hit, Invalidated, Lease, Lookup, Miss, MissReason, OwnedTarget,
    Stored, TierCount, TierId, WallTime,
};

pub(super) fn get(cache: &Cache, lookup: Lookup, granted: Option<Lease>) -> proto::GetResponse {
    use proto::get_response::Outcome;
    let outcome = match lookup {
        Lookup::Hit(hit) => Outcome::Credential(credential(cache, &hit)),
        Lookup::Miss(reason) => Outcome::Miss(miss(reason)),
    };
    proto::GetResponse {
        outcome: Some(outcome),
        lease: granted.map(lease),
    }
}

pub(super) fn extend_lease(left: Duration) -> proto::ExtendLeaseResponse {
    proto::ExtendLeaseResponse {
        ttl: Some(duration(left)),
    }
}

fn lease(lease: Lease) -> proto::Lease {
    proto::Lease {
        token: Bytes::copy_from_slice(lease.token.as_bytes()),
        ttl: Some(duration(lease.ttl)),
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
        tags: hit.tags().iter().map(String::from).collect(),
    }
}

fn miss(miss: Miss) -> proto::Miss {
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

pub(super) fn change(revision: u64, change: Change) -> proto::WatchResponse {
    use proto::{invalidated::Target, watch_response::Event};
    let target = match change {
        Change::Replaced(key) => {
            let key = String::from(&*key);
            let version = revision;
            let event = Event::Replaced(proto::Replaced { key, version });
            return watch(event, revision);
        }
        Change::Invalidated(OwnedTarget::Key(key)) => Target::Key(String::from(&*key)),
        Change::Invalidated(OwnedTarget::Prefix(prefix)) => {
            Target::KeyPrefix(String::from(&*prefix))
        }
        Change::Invalidated(OwnedTarget::Tag(tag)) => Target::Tag(String::from(&*tag)),
        Change::Invalidated(OwnedTarget::All) => Target::All(true),
    };
    let target = Some(target);
    watch(Event::Invalidated(proto::Invalidated { target }), revision)
}

pub(super) fn reset(instance: &Instance, revision: u64) -> proto::WatchResponse {
    let instance_id = instance.id().into();
    let reset = proto::Reset { instance_id };
    watch(proto::watch_response::Event::Reset(reset), revision)
}

pub(super) fn heartbeat(instance: &Instance, revision: u64) -> proto::WatchResponse {
    let instance_id = instance.id().into();
    let heartbeat = proto::Heartbeat { instance_id };
    watch(proto::watch_response::Event::Heartbeat(heartbeat), revision)
}

fn watch(event: proto::watch_response::Event, revision: u64) -> proto::WatchResponse {
    proto::WatchResponse {
        event: Some(event),
        revision,
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
            revoked: counts.of(Count::Revoked),
            ttl_too_short: counts.of(Count::TtlTooShort),
            pending: counts.of(Count::Pending),
        }),
        puts: counts.of(Count::Puts),
        puts_refused: counts.of(Count::PutsRefused),
        invalidations: counts.of(Count::Invalidations),
        invalidated: counts.of(Count::Invalidated),
        leases: Some(proto::LeaseStats {
            granted: counts.of(Count::LeasesGranted),
            filled: counts.of(Count::LeasesFilled),
            abandoned: counts.of(Count::LeasesAbandoned),
            expired: counts.of(Count::LeasesExpired),
            revoked: counts.of(Count::LeasesRevoked),
            superseded: counts.of(Count::LeasesSuperseded),
            extended: counts.of(Count::LeasesExtended),
            waits: counts.of(Count::Waits),
            waiting: counts.of(Count::Waiting),
        }),
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
