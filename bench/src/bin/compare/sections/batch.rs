//! A hundred keys in a call: `BatchGet` beside MGET, and the ceiling with the
//! bytes of the same answer.

use credcache_bench::proto::BatchGetRequest;
use prost::Message;

use crate::{
    contest::{Contender, Rounds},
    failure::Failure,
    grpc,
    h2load::{AnswerBytes, H2load, Shape},
    peers::redis::Redis,
    probe::{self, NAMESPACE, Probe},
    report::Report,
    servers::{CEILING, Server, Stage, Transport},
};

const KEYS: u32 = 100;
const VALUE_BYTES: usize = 64;
const SHAPES: [Shape; 2] = [Shape::new(10, 1), Shape::new(10, 10)];
const REDIS_CONNECTIONS: [u32; 2] = [10, 50];

pub(super) fn measure(stage: &Stage, rounds: Rounds, report: &mut Report) -> Result<(), Failure> {
    let keys: Vec<String> = (0..KEYS).map(|n| format!("role/{n:03}")).collect();
    let value = probe::value(VALUE_BYTES);
    let request = BatchGetRequest {
        namespace: NAMESPACE.to_owned(),
        keys: keys.clone(),
        ..BatchGetRequest::default()
    };

    let credcache = stage.credcache(None)?;
    let probe = Probe::connect(&credcache.address)?;
    probe.put_all(keys.iter().map(|key| probe::put_request(key, &value)))?;
    let answer = probe.check_batch(request.clone(), &value)?.encode_to_vec();
    let ceiling = stage.canned(&CEILING, Transport::Tcp, &answer)?;
    let entries = keys.iter().map(|key| (key.clone(), value.clone()));
    let redis = report.if_there("Redis MGET", Redis::filled(stage, entries))?;

    let mut contenders = Vec::new();
    let load = |server: &Server, shape, answer| {
        let place = (server.address.as_str(), grpc::BATCH_GET);
        H2load::new(stage.load_core, shape, place, &request, answer)
    };
    for shape in SHAPES {
        let canned = AnswerBytes::Exactly(grpc::FRAME_HEAD + answer.len() as u64);
        let canned = load(&ceiling, shape, canned)?;
        let subject = format!("ceiling, {shape}");
        contenders.push(Contender::new(subject, &ceiling.process, move |n| {
            canned.run(n)
        }));
        let values = AnswerBytes::AtLeast(u64::from(KEYS) * VALUE_BYTES as u64);
        let load = load(&credcache, shape, values)?;
        let (probe, hits) = (&probe, u64::from(KEYS));
        let load = move |n| probe.counting(|stats| stats.hits, n * hits, || load.run(n));
        let subject = format!("credcache, {shape}");
        contenders.push(Contender::new(subject, &credcache.process, load));
    }
    if let Some(redis) = &redis {
        for connections in REDIS_CONNECTIONS {
            let mut words = vec!["MGET"];
            words.extend(keys.iter().map(String::as_str));
            let over = (Transport::Tcp, connections);
            let load = move |n| redis.load(over, n, &words, KEYS.into());
            let subject = format!("Redis MGET, {connections} connections");
            contenders.push(Contender::new(subject, &redis.peer.process, load));
        }
    }
    let contenders = contenders
        .into_iter()
        .map(|contender| contender.of_parts(KEYS))
        .collect();
    rounds.contest(report, ("batch", "100 keys of 64 B"), "keys/s", contenders)?;
    probe.check_batch(request, &value)?;
    Ok(())
}
