//! The server's counters since it started, and its tiers.

use std::time::{Duration, SystemTime};

use crate::{
    Client, Error,
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    retry::Delivery,
    wire,
};

impl Client {
    /// Gets the server's counters, in all or for one namespace.
    ///
    /// ```no_run
    /// # async fn example(client: credcache_client::Client) -> Result<(), credcache_client::Error> {
    /// let stats = client.stats(Some("oauth")).await?;
    /// println!("{} hits, {} misses", stats.hits, stats.misses.total());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if there is no answer after the retries, or if the
    /// server refuses.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call changes nothing.
    pub async fn stats(&self, namespace: Option<&str>) -> Result<Stats, Error> {
        let request = proto::StatsRequest {
            namespace: namespace.unwrap_or_default().to_owned(),
        };
        let (response, _) = self
            .call(
                Delivery::Read,
                || Ok(request.clone()),
                |channel, request| async move { Stub::new(channel).stats(request).await },
            )
            .await?;
        Stats::parse(response)
    }
}

/// What the server has done and what it holds, in all or for one namespace:
/// [`Client::stats`] has an example.
///
/// In tests, [`Stats::new`] makes one whose counters can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Which server answered.
    pub server: ServerInfo,
    /// Gets answered with a credential.
    pub hits: u64,
    /// Gets answered without one.
    pub misses: MissCounts,
    /// Credentials stored.
    pub puts: u64,
    /// Puts refused by a precondition, a lost lease or a revocation.
    pub puts_refused: u64,
    /// Invalidations carried out.
    pub invalidations: u64,
    /// Credentials that the invalidations removed.
    pub invalidated: u64,
    /// Leases, and the callers who wait for them.
    pub leases: LeaseStats,
    /// The latest revision of the server.
    pub revision: u64,
    /// Namespaces that the server keeps a record of.
    pub namespaces: u64,
    /// The tiers, shortest `max_ttl` first.
    pub tiers: Vec<TierStats>,
}

impl Stats {
    /// The stats of a server that has done nothing yet.
    pub fn new(server: ServerInfo) -> Self {
        Self {
            server,
            hits: 0,
            misses: MissCounts::default(),
            puts: 0,
            puts_refused: 0,
            invalidations: 0,
            invalidated: 0,
            leases: LeaseStats::default(),
            revision: 0,
            namespaces: 0,
            tiers: Vec::new(),
        }
    }

    /// Returns the share of the Gets that hit, from 0 to 1; `None` before the first
    /// Get.
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
            misses: MissCounts {
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
            leases: LeaseStats {
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
                .map(TierStats::parse)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Which server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The program's version.
    pub version: String,
    /// New at each start. Versions and revisions count only together with it.
    pub instance_id: String,
    /// When this instance started, by its wall clock.
    pub started_at: SystemTime,
}

impl ServerInfo {
    /// Describes a server.
    pub fn new(
        version: impl Into<String>,
        instance_id: impl Into<String>,
        started_at: SystemTime,
    ) -> Self {
        Self {
            version: version.into(),
            instance_id: instance_id.into(),
            started_at,
        }
    }
}

/// Misses by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissCounts {
    /// Nothing was stored, or the reason is no longer remembered.
    pub not_found: u64,
    /// The credential had expired.
    pub expired: u64,
    /// The credential was invalidated.
    pub revoked: u64,
    /// The credential was live, but for less than was asked.
    pub ttl_too_short: u64,
    /// Another caller was fetching.
    pub pending: u64,
}

impl MissCounts {
    /// Returns the sum of all reasons.
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

/// Leases, and the callers who wait for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseStats {
    /// Leases granted.
    pub granted: u64,
    /// Leases filled by a Put.
    pub filled: u64,
    /// Leases given back.
    pub abandoned: u64,
    /// Leases that ran out, including those that were filled or extended afterwards.
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
#[non_exhaustive]
pub struct TierStats {
    /// The configured name.
    pub name: String,
    /// The longest lifetime that the tier keeps.
    pub max_ttl: Duration,
    /// The size bound, overhead included.
    pub capacity_bytes: u64,
    /// How much of the capacity is used, counted the same way. It may exceed the
    /// capacity by what is being put at that moment.
    pub used_bytes: u64,
    /// Credentials that the tier holds.
    pub entries: u64,
    /// Gets that the tier answered.
    pub hits: u64,
    /// Credentials evicted for want of room.
    pub evictions: u64,
    /// Credentials whose memory was reclaimed after they expired.
    pub expirations: u64,
}

impl TierStats {
    /// An empty tier.
    pub fn new(name: impl Into<String>, max_ttl: Duration, capacity_bytes: u64) -> Self {
        Self {
            name: name.into(),
            max_ttl,
            capacity_bytes,
            used_bytes: 0,
            entries: 0,
            hits: 0,
            evictions: 0,
            expirations: 0,
        }
    }

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
        let expected = LeaseStats {
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
            misses: MissCounts::default(),
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
