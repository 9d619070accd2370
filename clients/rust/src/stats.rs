//! The server's counters since it started, and its tiers now.

use std::time::{Duration, SystemTime};

use crate::{Error, proto, wire};

/// What the server has done and what it holds, in all or for one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Which server answered.
    pub server: ServerInfo,
    /// Gets answered with a credential.
    pub hits: u64,
    /// Gets answered without one.
    pub misses: Misses,
    /// Credentials stored.
    pub puts: u64,
    /// Puts refused by a precondition, a lost lease or a revocation.
    pub puts_refused: u64,
    /// Invalidations carried out.
    pub invalidations: u64,
    /// Credentials that those removed.
    pub invalidated: u64,
    /// Leases, and those who wait for them.
    pub leases: Leases,
    /// The latest revision of the server.
    pub revision: u64,
    /// Namespaces the server keeps a record of.
    pub namespaces: u64,
    /// The tiers, shortest `max_ttl` first.
    pub tiers: Vec<Tier>,
}

impl Stats {
    /// Which part of the Gets hit, from 0 to 1; `None` before the first.
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn hit_ratio(&self) -> Option<f64> {
        let gets = self.hits.saturating_add(self.misses.total());
        (gets > 0).then(|| self.hits as f64 / gets as f64)
    }

    pub(crate) fn parse(response: proto::StatsResponse) -> Result<Self, Error> {
        let server = response.server.ok_or(Error::Malformed("server is unset"))?;
        let misses = response.misses.unwrap_or_default();
        let leases = response.leases.unwrap_or_default();
        Ok(Self {
            server: ServerInfo {
                version: server.version,
                instance_id: server.instance_id,
                started_at: wire::parse_time(server.started_at, "started_at")?,
            },
            hits: response.hits,
            misses: Misses {
                not_found: misses.not_found,
                expired: misses.expired,
                revoked: misses.revoked,
                ttl_too_short: misses.ttl_too_short,
                pending: misses.pending,
            },
            puts: response.puts,
            puts_refused: response.puts_refused,
            invalidations: response.invalidations,
            invalidated: response.invalidated,
            leases: Leases {
                granted: leases.granted,
                filled: leases.filled,
                abandoned: leases.abandoned,
                expired: leases.expired,
                revoked: leases.revoked,
                superseded: leases.superseded,
                extended: leases.extended,
                waits: leases.waits,
                waiting: leases.waiting,
            },
            revision: response.revision,
            namespaces: response.namespaces,
            tiers: response
                .tiers
                .into_iter()
                .map(Tier::parse)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Which server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The program's version.
    pub version: String,
    /// New at each start; versions and revisions count only together with it.
    pub instance_id: String,
    /// When this instance started, by its wall clock.
    pub started_at: SystemTime,
}

/// Misses by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Misses {
    /// Nothing stored, or no longer known why.
    pub not_found: u64,
    /// Past its lifetime.
    pub expired: u64,
    /// Invalidated.
    pub revoked: u64,
    /// Live, but for less than was asked.
    pub ttl_too_short: u64,
    /// Being fetched by somebody else.
    pub pending: u64,
}

impl Misses {
    /// All of them.
    pub fn total(&self) -> u64 {
        [
            self.not_found,
            self.expired,
            self.revoked,
            self.ttl_too_short,
            self.pending,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// Leases, and those who wait for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// Leases granted.
    pub granted: u64,
    /// Leases filled by a Put.
    pub filled: u64,
    /// Leases given back.
    pub abandoned: u64,
    /// Leases that ran out. One that is filled or extended afterwards counts too.
    pub expired: u64,
    /// Leases lost to an invalidation.
    pub revoked: u64,
    /// Leases that ended because their key was put without them.
    pub superseded: u64,
    /// Extensions of leases.
    pub extended: u64,
    /// Gets that waited.
    pub waits: u64,
    /// Gets that wait now.
    pub waiting: u64,
}

/// One tier: a lifetime class with a size bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its configured name.
    pub name: String,
    /// The longest lifetime it keeps.
    pub max_ttl: Duration,
    /// Its size bound, overhead included.
    pub capacity_bytes: u64,
    /// How much of it is taken, counted the same way. It may exceed the capacity
    /// by what is being put at that moment.
    pub used_bytes: u64,
    /// Credentials it holds.
    pub entries: u64,
    /// Gets it answered.
    pub hits: u64,
    /// Credentials pushed out for want of room.
    pub evictions: u64,
    /// Credentials whose memory was taken back after their end.
    pub expirations: u64,
}

impl Tier {
    fn parse(tier: proto::TierStats) -> Result<Self, Error> {
        Ok(Self {
            name: tier.name,
            max_ttl: wire::parse_span(tier.max_ttl, "max_ttl")?,
            capacity_bytes: tier.capacity_bytes,
            used_bytes: tier.used_bytes,
            entries: tier.entries,
            hits: tier.hits,
            evictions: tier.evictions,
            expirations: tier.expirations,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> proto::StatsResponse {
        proto::StatsResponse {
            server: Some(proto::ServerInfo {
                started_at: Some(prost_types::Timestamp::default()),
                ..Default::default()
            }),
            hits: 3,
            misses: Some(proto::MissCounts {
                expired: 1,
                ..Default::default()
            }),
            leases: Some(proto::LeaseStats {
                granted: 1,
                filled: 2,
                abandoned: 3,
                expired: 4,
                waits: 5,
                waiting: 6,
                revoked: 7,
                superseded: 8,
                extended: 9,
            }),
            tiers: vec![proto::TierStats {
                max_ttl: Some(wire::span(Duration::from_secs(60))),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn every_count_of_leases_is_told() {
        let leases = Stats::parse(answer()).unwrap().leases;
        let expected = Leases {
            granted: 1,
            filled: 2,
            abandoned: 3,
            expired: 4,
            waits: 5,
            waiting: 6,
            revoked: 7,
            superseded: 8,
            extended: 9,
        };
        assert_eq!(leases, expected);
    }

    #[test]
    fn ratio_is_of_hits_to_gets() {
        let stats = Stats::parse(answer()).unwrap();
        assert_eq!(stats.hit_ratio(), Some(0.75));
        assert_eq!(stats.tiers[0].max_ttl, Duration::from_secs(60));
        let idle = Stats {
            hits: 0,
            misses: Misses::default(),
            ..stats
        };
        assert_eq!(idle.hit_ratio(), None);
    }

    #[test]
    fn answer_without_a_server_or_a_bound_is_malformed() {
        let nobody = proto::StatsResponse {
            server: None,
            ..answer()
        };
        assert!(matches!(Stats::parse(nobody), Err(Error::Malformed(_))));
        let unbounded = proto::StatsResponse {
            tiers: vec![Default::default()],
            ..answer()
        };
        assert!(matches!(
            Stats::parse(unbounded),
            Err(Error::Malformed("max_ttl"))
        ));
    }
}
