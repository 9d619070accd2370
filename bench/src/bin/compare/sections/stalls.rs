//! What a Get waits, beside what it waits when nothing else happens: at rates
//! that keep the server's core busy for 80 % of the time, each Get due at its
//! instant whether the earlier ones are answered or not.

mod situation;

use std::time::Duration;

use credcache_bench::statistics::{percentile, turns};

use self::situation::{Bench, Script, Situation};
use crate::{
    clock,
    contest::Rounds,
    failure::Failure,
    h2load::Shape,
    load::{closed, open},
    report::Report,
    servers::Stage,
};

/// Of the server's core, what the load takes where nothing else happens.
const LOAD: f64 = 0.8;
/// How many Puts there are to a Get in a flood of them.
const PUTS_TO_A_GET: f64 = 0.3;
const CONNECTIONS: u32 = 10;
const PEAK: Shape = Shape::new(CONNECTIONS, 10);
const PEAK_CALLS: u64 = 50_000;
/// The rates that make the load are looked for between the most that the server
/// answers and this part of it, so many times, so long each time.
const LEAST: f64 = 1.0 / 16.0;
const APPROACHES: u32 = 8;
const APPROACH: Duration = Duration::from_millis(400);
/// What is left out at the beginning: connections, the first answers.
const SETTLED: Duration = Duration::from_millis(300);

pub(super) fn measure(stage: &Stage, rounds: Rounds, report: &mut Report) -> Result<(), Failure> {
    let bench = Bench::start(stage)?;
    let nth = |nth: u64| &bench.gets[usize::try_from(nth).unwrap_or(0) % bench.gets.len()];
    let mut measured: Vec<Vec<Latencies>> = vec![Vec::new(); Situation::ALL.len()];
    let mut rates_of_rounds = [const { Vec::new() }; 2];
    for round in 0..rounds.rounds as usize {
        // Anew in each: a machine that others share is now faster, now slower.
        let peak = closed::run(&bench.address, PEAK, PEAK_CALLS, nth)?;
        let calm = settled(&bench, peak, 0.0)?;
        let flood = settled(&bench, peak, PUTS_TO_A_GET)?;
        println!("stalls: {calm:.0?}, in the flood {flood:.0?}");
        for (sum, rates) in rates_of_rounds.iter_mut().zip([calm, flood]) {
            sum.push(rates);
        }
        for next in turns(round, Situation::ALL.len()) {
            let situation = Situation::ALL[next];
            let flooded = situation == Situation::Flood;
            let rates = if flooded { flood } else { calm };
            let script = situation.prepare(&bench)?;
            let latencies = loaded(&bench, rates, &script)?;
            situation.check(&bench)?;
            println!("stalls: {}: {latencies:.1?}", situation.name());
            measured[next].push(latencies);
        }
    }
    for (case, rates) in ["all but the flood", "the flood"]
        .into_iter()
        .zip(rates_of_rounds)
    {
        let mut add = |call, of: fn(&Rates) -> f64| {
            let rates = rates.iter().map(of).collect();
            report.add(("stalls", case, call), "calls/s", rates);
        };
        add("Get", |rates| rates.gets);
        add("Put", |rates| rates.puts);
    }
    for (situation, rounds) in Situation::ALL.iter().zip(measured) {
        let mut add = |subject, unit, of: fn(&Latencies) -> f64| {
            let rounds = rounds.iter().map(of).collect();
            report.add(("stalls", situation.name(), subject), unit, rounds);
        };
        add("p50", "µs", |latencies| latencies.p50);
        add("p99", "µs", |latencies| latencies.p99);
        add("p99.9", "µs", |latencies| latencies.p999);
        add("counted", "Gets", |latencies| latencies.gets as f64);
        add("core busy", "%", |latencies| latencies.busy);
    }
    Ok(())
}

/// Calls a second.
#[derive(Clone, Copy, Debug)]
struct Rates {
    gets: f64,
    puts: f64,
}

/// The rates that make the load, with so many Puts to a Get. They can't be told
/// from the most the server answers: the busier it is, the more it does at a
/// time. So they are searched, halving what is left between too little and too
/// much; by ratios, as rates go.
fn settled(bench: &Bench, peak: f64, puts_to_a_get: f64) -> Result<Rates, Failure> {
    let rates = |gets: f64| Rates {
        gets,
        puts: puts_to_a_get * gets,
    };
    let (mut little, mut much) = (peak * LEAST, peak);
    for _ in 0..APPROACHES {
        let between = (little * much).sqrt();
        let busy = loaded(bench, rates(between), &Script::plain(APPROACH))?.busy / 100.0;
        *(if busy < LOAD { &mut little } else { &mut much }) = between;
    }
    Ok(rates((little * much).sqrt()))
}

/// Of the Gets that were due while it happened, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Latencies {
    gets: usize,
    p50: f64,
    p99: f64,
    p999: f64,
    /// Of the server's core, over the whole load, in percent.
    busy: f64,
}

fn loaded(bench: &Bench, rates: Rates, script: &Script) -> Result<Latencies, Failure> {
    let flow = |calls, rate| open::Flow { calls, rate };
    let plan = open::Plan {
        address: &bench.address,
        connections: CONNECTIONS,
        duration: script.duration,
        gets: flow(&bench.gets, rates.gets),
        others: (rates.puts > 0.0).then(|| flow(&bench.flood, rates.puts)),
        event: script.event.as_ref().map(|(at, call)| (*at, call)),
        watches: script.watches.then(|| bench.watches()),
    };
    let before = bench.process().processor_time()?;
    let start = clock::now();
    let measured = open::run(&plan)?;
    let taken = bench.process().processor_time()? - before;
    let busy = taken.as_secs_f64() / start.elapsed().as_secs_f64();

    let (from, to) = script.window(&measured, SETTLED);
    let counted = measured.latencies.iter();
    let counted = counted.filter(|(due, _)| (from..to).contains(due));
    let mut took: Vec<Duration> = counted.map(|(_, took)| *took).collect();
    took.sort_unstable();
    let at =
        |per_mille| percentile(&took, per_mille).map_or(f64::NAN, |took| 1e6 * took.as_secs_f64());
    Ok(Latencies {
        gets: took.len(),
        p50: at(500),
        p99: at(990),
        p999: at(999),
        busy: 100.0 * busy,
    })
}
