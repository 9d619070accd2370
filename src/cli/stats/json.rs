//! The counters for scripts, under their names in the contract.

use credcache_client::{Stats, TierStats};
use serde_json::{Value, json};

use crate::cli::text;

pub(super) fn render(stats: &Stats) -> Value {
    let Stats {
        server,
        misses,
        leases,
        ..
    } = stats;
    json!({
        "server": {
            "version": server.version,
            "instance_id": server.instance_id,
            "started_at": text::rfc3339(server.started_at),
        },
        "hits": stats.hits,
        "misses": {
            "not_found": misses.not_found,
            "expired": misses.expired,
            "revoked": misses.revoked,
            "ttl_too_short": misses.ttl_too_short,
            "pending": misses.pending,
        },
        "puts": stats.puts,
        "puts_refused": stats.puts_refused,
        "invalidations": stats.invalidations,
        "invalidated": stats.invalidated,
        "leases": {
            "granted": leases.granted,
            "filled": leases.filled,
            "abandoned": leases.abandoned,
            "expired": leases.expired,
            "revoked": leases.revoked,
            "waits": leases.waits,
            "waiting": leases.waiting,
        },
        "revision": stats.revision,
        "namespaces": stats.namespaces,
        "tiers": stats.tiers.iter().map(tier).collect::<Vec<_>>(),
    })
}

fn tier(tier: &TierStats) -> Value {
    json!({
        "name": tier.name,
        "max_ttl_seconds": tier.max_ttl.as_secs_f64(),
        "capacity_bytes": tier.capacity_bytes,
        "used_bytes": tier.used_bytes,
        "entries": tier.entries,
        "hits": tier.hits,
        "evictions": tier.evictions,
        "expirations": tier.expirations,
    })
}
