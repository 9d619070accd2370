//! What goes on while Gets are measured, how it is brought about, and how it is
//! known that it happened.

use std::time::Duration;

use credcache_bench::proto::{
    InvalidateRequest, PutRequest, WatchRequest, invalidate_request::Target, put_request::Lifetime,
};

use crate::{
    clock,
    failure::Failure,
    grpc,
    load::{Call, open},
    probe::{self, NAMESPACE, Probe},
    process::Process,
    servers::{Server, Stage},
};

/// How many credentials end, or are removed, at once.
const MANY: u32 = 100_000;
const SMALL_VALUE: usize = 256;
const VALUE: usize = 1024;
/// How many are asked for.
const KEPT: u32 = 1_000;
/// More than the tier of the flood holds, so that each Put meets an absent key
/// and pushes another out.
const FLOODED: u32 = 40_000;
const FLOOD_TIER: &str = "10-minutes";
const CONFIGURATION: &str = "
[[tier]]
name = '10-minutes'
max_ttl = '10m'
capacity = '16MiB'
[[tier]]
name = '1-hour'
max_ttl = '1h'
capacity = '1GiB'
";
const WATCHED: &str = "watched";
const WATCH_CONNECTIONS: u32 = 10;
const WATCHES_EACH: u32 = 100;
const STORED_BYTES: usize = 20;

/// How long the measured load lasts, and when in it something happens.
const DURATION: Duration = Duration::from_millis(2_300);
const EVENT_AT: Duration = Duration::from_millis(800);
/// The wait for the first to expire, which filling must be done within.
const FIRST_EXPIRES_IN: Duration = Duration::from_secs(4);
/// They expire within one second, and are given back within another or so.
const EXPIRY: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Situation {
    Idle,
    Invalidation,
    Expiry,
    Flood,
    Watchers,
}

/// A server with what all situations need.
pub(super) struct Bench {
    server: Server,
    probe: Probe,
    /// `host:port`.
    pub(super) address: String,
    pub(super) gets: Vec<Call>,
    pub(super) flood: Vec<Call>,
    watch: Call,
}

/// What is to happen, and during which part of the load it does.
pub(super) struct Script {
    pub(super) duration: Duration,
    pub(super) event: Option<(Duration, Call)>,
    pub(super) watches: bool,
    /// Where it is known before.
    window: Option<(Duration, Duration)>,
}

impl Bench {
    pub(super) fn start(stage: &Stage) -> Result<Self, Failure> {
        let server = stage.credcache(Some(CONFIGURATION))?;
        let probe = Probe::connect(&server.address)?;
        let value = probe::value(VALUE);
        let kept = || (0..KEPT).map(|number| format!("kept/{number}"));
        probe.put_all(kept().map(|key| probe::put_request(&key, &value)))?;
        let flood = |number| PutRequest {
            tier: FLOOD_TIER.to_owned(),
            lifetime: Some(Lifetime::Ttl(prost_types::Duration {
                seconds: 600,
                nanos: 0,
            })),
            ..probe::put_request(&format!("flood/{number}"), &value)
        };
        // The tier is at its capacity from the start.
        probe.put_all((0..FLOODED).map(flood))?;
        let watch = WatchRequest {
            namespace: WATCHED.to_owned(),
            ..WatchRequest::default()
        };
        Ok(Self {
            address: server.address.clone(),
            gets: kept()
                .map(|key| Call::new(grpc::GET, &probe::get_request(&key), VALUE))
                .collect::<Result<_, _>>()?,
            flood: (0..FLOODED)
                .map(|number| Call::new(grpc::PUT, &flood(number), STORED_BYTES))
                .collect::<Result<_, _>>()?,
            watch: Call::new(grpc::WATCH, &watch, 0)?,
            server,
            probe,
        })
    }

    pub(super) fn process(&self) -> &Process {
        &self.server.process
    }

    /// What `Situation::Watchers` opens.
    pub(super) fn watches(&self) -> open::Watches<'_> {
        open::Watches {
            call: &self.watch,
            connections: WATCH_CONNECTIONS,
            each: WATCHES_EACH,
        }
    }
}

impl Situation {
    pub(super) const ALL: [Self; 5] = [
        Self::Idle,
        Self::Invalidation,
        Self::Expiry,
        Self::Flood,
        Self::Watchers,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Invalidation => "100,000 invalidated by one tag",
            Self::Expiry => "100,000 expire within a second",
            Self::Flood => "Puts into a full tier",
            Self::Watchers => "1,000 watchers",
        }
    }

    /// Puts in what it takes.
    pub(super) fn prepare(self, bench: &Bench) -> Result<Script, Failure> {
        let plain = Script::plain(DURATION);
        Ok(match self {
            Self::Idle | Self::Flood => plain,
            Self::Invalidation => {
                let value = probe::value(SMALL_VALUE);
                bench.probe.put_all((0..MANY).map(|number| PutRequest {
                    tags: vec!["revoked".to_owned()],
                    ..probe::put_request(&format!("revoked/{number}"), &value)
                }))?;
                let revoke = invalidate(NAMESPACE, Target::Tag("revoked".to_owned()))?;
                Script {
                    event: Some((EVENT_AT, revoke)),
                    ..plain
                }
            }
            Self::Expiry => expiring(bench, plain)?,
            Self::Watchers => {
                let change = invalidate(WATCHED, Target::Key("role".to_owned()))?;
                Script {
                    event: Some((EVENT_AT, change)),
                    watches: true,
                    window: Some((EVENT_AT / 2, DURATION)),
                    ..plain
                }
            }
        })
    }

    /// Whether it did happen.
    pub(super) fn check(self, bench: &Bench) -> Result<(), Failure> {
        let stats = bench.probe.stats()?;
        let of_tier = |name: &str, count: fn(&credcache_bench::proto::TierStats) -> u64| {
            let tier = stats.tiers.iter().find(|tier| tier.name == name);
            tier.map_or(0, count)
        };
        let left = of_tier("1-hour", |tier| tier.entries);
        let happened = match self {
            Self::Idle | Self::Watchers => true,
            Self::Invalidation | Self::Expiry => left == u64::from(KEPT),
            Self::Flood => of_tier(FLOOD_TIER, |tier| tier.evictions) > 0,
        };
        if happened {
            Ok(())
        } else {
            let what = format!("{}: {left} entries are left", self.name());
            Err(Failure::WrongAnswer(what))
        }
    }
}

impl Script {
    /// Nothing but the load.
    pub(super) fn plain(duration: Duration) -> Self {
        Self {
            duration,
            event: None,
            watches: false,
            window: None,
        }
    }

    /// Which Gets count: those due while it happened.
    pub(super) fn window(
        &self,
        measured: &open::Measured,
        settled: Duration,
    ) -> (Duration, Duration) {
        match (self.window, &self.event, measured.answered) {
            (Some(window), ..) => window,
            (None, Some((asked, _)), Some(answered)) => (*asked, answered),
            _ => (settled, self.duration),
        }
    }
}

/// Puts those that expire, evenly over a second from an instant on.
fn expiring(bench: &Bench, plain: Script) -> Result<Script, Failure> {
    let filling = clock::now();
    let first = clock::wall() + FIRST_EXPIRES_IN;
    let value = probe::value(SMALL_VALUE);
    bench.probe.put_all((0..MANY).map(|number| {
        let end = first + Duration::from_secs(1) * number / MANY;
        PutRequest {
            tier: "1-hour".to_owned(),
            lifetime: Some(Lifetime::ExpiresAt(end.into())),
            ..probe::put_request(&format!("expiring/{number}"), &value)
        }
    }))?;
    // Time enough for the load to settle before the first ends.
    let begins = FIRST_EXPIRES_IN
        .checked_sub(filling.elapsed())
        .filter(|left| *left > EVENT_AT / 2)
        .ok_or_else(|| Failure::WrongAnswer("the credentials ended while they were put".into()))?;
    Ok(Script {
        duration: begins + EXPIRY,
        window: Some((begins, begins + EXPIRY)),
        ..plain
    })
}

fn invalidate(namespace: &str, target: Target) -> Result<Call, Failure> {
    let request = InvalidateRequest {
        namespace: namespace.to_owned(),
        target: Some(target),
        ..InvalidateRequest::default()
    };
    Call::new(grpc::INVALIDATE, &request, 1)
}
