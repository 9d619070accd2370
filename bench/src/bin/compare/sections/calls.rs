//! The other calls, beside a Get under the same load: a Put that replaces the
//! same credential again and again, a miss, and a mix of 95 Gets to 5 Puts over
//! many keys, which takes a load generator of our own.

use super::filled::Filled;
use crate::{
    contest::{Contender, Rounds},
    failure::Failure,
    grpc,
    h2load::{AnswerBytes, H2load, Shape},
    load::{Call, closed},
    peers::redis::Redis,
    probe::{self, KEY, Probe},
    report::Report,
    servers::{Stage, Transport},
};

const SHAPE: Shape = Shape::new(10, 10);
const VALUE_BYTES: usize = 1024;
const ABSENT: &str = "aws/123456789012/role/payments-reader/us";
/// Keys of the mix. They fit into the default tiers.
const KEYS: u64 = 10_000;
/// Every so many calls of the mix is a Put.
const PUT_EVERY: u64 = 20;
const REDIS_CONNECTIONS: u32 = 50;
/// A miss, as the server encodes it: the outcome's head, and its reason.
const MISS_BYTES: u64 = grpc::FRAME_HEAD + 3 + 2;
/// A Put is answered by a version, a tier and an instant.
const STORED_BYTES: usize = 20;

pub(super) fn measure(stage: &Stage, rounds: Rounds, report: &mut Report) -> Result<(), Failure> {
    let value = probe::value(VALUE_BYTES);
    let Filled { server, probe, .. } = &Filled::start(stage, VALUE_BYTES)?;
    let redis = report.if_there("Redis SET", Redis::start(stage))?;

    let (process, address) = (&server.process, server.address.as_str());
    let core = stage.load_core;
    let get = probe::get_request(KEY);
    let bytes = AnswerBytes::AtLeast(VALUE_BYTES as u64);
    let get = H2load::new(core, SHAPE, (address, grpc::GET), &get, bytes)?;
    let miss = probe::get_request(ABSENT);
    let bytes = AnswerBytes::Exactly(MISS_BYTES);
    let miss = H2load::new(core, SHAPE, (address, grpc::GET), &miss, bytes)?;
    let put = probe::with_region(probe::put_request(KEY, &value));
    let bytes = AnswerBytes::AtLeast(STORED_BYTES as u64);
    let put = H2load::new(core, SHAPE, (address, grpc::PUT), &put, bytes)?;
    let misses = |stats: &credcache_bench::proto::StatsResponse| {
        stats.misses.as_ref().map_or(0, |misses| misses.not_found)
    };
    let mix = Mix::new(probe, &value)?;
    let mut contenders = vec![
        Contender::new("credcache Get", process, move |n| {
            probe.counting(|stats| stats.hits, n, || get.run(n))
        }),
        Contender::new("credcache Get, a miss", process, move |n| {
            probe.counting(misses, n, || miss.run(n))
        }),
        Contender::new("credcache Put", process, move |n| {
            probe.counting(|stats| stats.puts, n, || put.run(n))
        }),
        Contender::new("credcache, 95 % Get, 5 % Put", process, move |n| {
            probe.counting(
                |stats| stats.hits + stats.puts,
                n,
                || closed::run(address, SHAPE, n, |nth| mix.nth(nth)),
            )
        }),
    ];
    if let Some(redis) = &redis {
        let value: String = "v".repeat(VALUE_BYTES);
        let over = (Transport::Tcp, REDIS_CONNECTIONS);
        contenders.push(Contender::new(
            format!("Redis SET EX, {REDIS_CONNECTIONS} connections"),
            &redis.peer.process,
            move |n| redis.load(over, n, &["SET", KEY, &value, "EX", "3600"], 0),
        ));
    }
    rounds.contest(report, ("calls", "1 KiB, 10×10"), "calls/s", contenders)?;
    probe.check_get(KEY, &value)?;
    Ok(())
}

/// Gets and Puts of the same keys, in an order that meets all of them.
struct Mix {
    gets: Vec<Call>,
    puts: Vec<Call>,
}

impl Mix {
    /// Puts them all, too.
    fn new(probe: &Probe, value: &[u8]) -> Result<Self, Failure> {
        let keys = || (0..KEYS).map(|number| format!("mix/{number}"));
        let put = |key: &str| probe::with_region(probe::put_request(key, value));
        probe.put_all(keys().map(|key| put(&key)))?;
        let get = |key: String| Call::new(grpc::GET, &probe::get_request(&key), value.len());
        let put = |key: String| Call::new(grpc::PUT, &put(&key), STORED_BYTES);
        Ok(Self {
            gets: keys().map(get).collect::<Result<_, _>>()?,
            puts: keys().map(put).collect::<Result<_, _>>()?,
        })
    }

    fn nth(&self, nth: u64) -> &Call {
        // A step that shares no factor with the number of keys.
        let key = usize::try_from(nth * 7_919 % KEYS).unwrap_or(0);
        if nth.is_multiple_of(PUT_EVERY) {
            &self.puts[key]
        } else {
            &self.gets[key]
        }
    }
}
