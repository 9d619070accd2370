//! What an entry takes beyond its key and its value, at a million entries:
//! the growth of the server's resident memory while they are put.

use credcache_bench::proto::PutRequest;

use super::if_there;
use crate::{
    failure::Failure,
    peers::{memcached::Memcached, redis::Redis},
    probe::{self, Probe},
    process::Process,
    report::Report,
    servers::Stage,
};

const ENTRIES: u32 = 1_000_000;
const KEY_BYTES: usize = 40;
const VALUE_BYTES: usize = 256;
/// Each in a server of its own.
const FILLS: usize = 3;
const CASE: &str = "1 M entries of 40 B + 256 B";
/// Room for all, and to spare.
const ROOM_MEBIBYTES: u32 = 2048;

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    add(
        report,
        "credcache, one tag",
        (0..FILLS).map(|_| credcache(stage)),
    )?;
    add(report, "Redis, EX", (0..FILLS).map(|_| redis(stage)))?;
    add(report, "memcached", (0..FILLS).map(|_| memcached(stage)))
}

fn add(
    report: &mut Report,
    subject: &str,
    fills: impl Iterator<Item = Result<f64, Failure>>,
) -> Result<(), Failure> {
    let what = format!("memory of {subject}");
    let fills = if_there(report, &what, fills.collect::<Result<Vec<f64>, _>>())?;
    if let Some(fills) = fills {
        println!("{what}: {fills:.1?} B an entry");
        report.add(("memory", CASE, subject), "B an entry", fills);
    }
    Ok(())
}

fn credcache(stage: &Stage) -> Result<f64, Failure> {
    let configuration =
        format!("[[tier]]\nname = '1-hour'\nmax_ttl = '1h'\ncapacity = '{ROOM_MEBIBYTES}MiB'\n");
    let server = stage.credcache(Some(&configuration))?;
    let probe = Probe::connect(&server.address)?;
    let value = probe::value(VALUE_BYTES);
    growth(&server.process, || {
        probe.put_all((0..ENTRIES).map(|number| PutRequest {
            tags: vec!["issuer".to_owned()],
            ..probe::put_request(&key(number), &value)
        }))?;
        Ok(probe.stats()?.tiers.iter().map(|tier| tier.entries).sum())
    })
}

fn redis(stage: &Stage) -> Result<f64, Failure> {
    let redis = Redis::start(stage)?;
    growth(&redis.process, || {
        redis.fill(entries())?;
        redis.len()
    })
}

fn memcached(stage: &Stage) -> Result<f64, Failure> {
    let memcached = Memcached::start(stage, ROOM_MEBIBYTES)?;
    growth(&memcached.process, || {
        memcached.fill(entries())?;
        memcached.len()
    })
}

fn entries() -> impl Iterator<Item = (String, Vec<u8>)> {
    let value = probe::value(VALUE_BYTES);
    (0..ENTRIES).map(move |number| (key(number), value.clone()))
}

fn key(number: u32) -> String {
    format!("{number:0KEY_BYTES$}")
}

/// Of the process's memory, an entry, beyond its key and value. `fill` tells
/// how many it then holds, which has to be all.
fn growth(process: &Process, fill: impl FnOnce() -> Result<u64, Failure>) -> Result<f64, Failure> {
    let before = process.resident()?;
    let held = fill()?;
    let grown = process.resident()?.saturating_sub(before);
    if held != u64::from(ENTRIES) {
        return Err(Failure::WrongAnswer(format!(
            "{held} entries of {ENTRIES} are held"
        )));
    }
    Ok(grown as f64 / f64::from(ENTRIES) - (KEY_BYTES + VALUE_BYTES) as f64)
}
