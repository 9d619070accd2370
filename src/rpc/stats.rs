//! Stats: the counters and the tiers.

use super::{
    Instance, Service,
    fields::Fields,
    proto,
    status::Failure,
    times::{duration, timestamp},
};
use credcache_core::{Cache, Count, Counts, NamespaceName, TierCount};

impl Service {
    pub(super) fn serve_stats(
        &self,
        request: &proto::StatsRequest,
    ) -> Result<proto::StatsResponse, Failure> {
        let counts = self.cache.counts(parse(request)?);
        Ok(response(&self.cache, &counts, &self.instance))
    }
}

/// The namespace to count, or `None` for all.
fn parse(request: &proto::StatsRequest) -> Result<Option<NamespaceName<'_>>, Failure> {
    if request.namespace.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::default();
    let namespace = fields.namespace(&request.namespace);
    fields.finish(|| namespace.map(Some))
}

fn response(cache: &Cache, counts: &Counts, instance: &Instance) -> proto::StatsResponse {
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
