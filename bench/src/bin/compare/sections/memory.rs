//! What an entry takes beyond its key and its value, at a million entries:
//! by how much the server's resident memory has grown when it has settled.

use std::{ops::Range, thread, time::Duration};

use credcache_bench::proto::PutRequest;

use crate::{
    failure::Failure,
    peers::{memcached::Memcached, redis::Redis},
    probe::{self, Probe},
    process::Process,
    report::Report,
    servers::Stage,
};

const ENTRIES: u32 = 1_000_000;
/// Put before: what a server takes for serving at all isn't an entry's.
const WARM_UP: u32 = 10_000;
/// Allocators give back a little after they are given back to. Until it shrinks no
/// more from one of these to the next, resident memory isn't what is needed.
const SETTLING: Duration = Duration::from_secs(1);
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
    let fills = report.if_there(&what, fills.collect::<Result<Vec<f64>, _>>())?;
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
    growth(&server.process, |numbers| {
        probe.put_all(numbers.map(|number| PutRequest {
            tags: vec!["issuer".to_owned()],
            ..probe::put_request(&key(number), &value)
        }))?;
        Ok(probe.stats()?.tiers.iter().map(|tier| tier.entries).sum())
    })
}

fn redis(stage: &Stage) -> Result<f64, Failure> {
    let redis = Redis::start(stage)?;
    growth(&redis.peer.process, |numbers| {
        redis.fill(entries(numbers))?;
        redis.len()
    })
}

fn memcached(stage: &Stage) -> Result<f64, Failure> {
    let memcached = Memcached::start(stage, ROOM_MEBIBYTES)?;
    growth(&memcached.0.process, |numbers| {
        memcached.fill(entries(numbers))?;
        memcached.len()
    })
}

fn entries(numbers: Range<u32>) -> impl Iterator<Item = (String, Vec<u8>)> {
    let value = probe::value(VALUE_BYTES);
    numbers.map(move |number| (key(number), value.clone()))
}

fn key(number: u32) -> String {
    format!("{number:0KEY_BYTES$}")
}

/// Of the process's memory, an entry, beyond its key and value. `fill` puts those
/// of these numbers, and tells how many are held then, which has to be all.
fn growth(
    process: &Process,
    mut fill: impl FnMut(Range<u32>) -> Result<u64, Failure>,
) -> Result<f64, Failure> {
    fill(0..WARM_UP)?;
    let before = settled(process)?;
    let all = WARM_UP + ENTRIES;
    let held = fill(WARM_UP..all)?;
    let grown = settled(process)?.saturating_sub(before);
    if held != u64::from(all) {
        return Err(Failure::WrongAnswer(format!(
            "{held} entries of {all} are held"
        )));
    }
    Ok(grown as f64 / f64::from(ENTRIES) - (KEY_BYTES + VALUE_BYTES) as f64)
}

/// The resident memory once it shrinks no more.
fn settled(process: &Process) -> Result<u64, Failure> {
    let mut last = process.resident()?;
    loop {
        thread::sleep(SETTLING);
        let now = process.resident()?;
        if now >= last {
            return Ok(now);
        }
        last = now;
    }
}
