//! What is aimed at: each a ratio within one run, taken within each round.
//!
//! Two rules decide. A contestant that was busy for less than 98 % of its core
//! was held back by its load generator: its rate is then a limit of the load,
//! and processor time per operation decides. And a target is inconclusive where
//! the median reaches it but at least one round does not.

use std::fmt;

use credcache_bench::statistics::{Spread, ratios};

use crate::report::{Place, Report, Series};

/// A figure, and what it has to reach.
pub(crate) struct Target {
    pub(crate) what: &'static str,
    pub(crate) bound: Bound,
    over: Place<'static>,
    /// The best of these; the figure is taken as it is where there is none.
    under: &'static [Place<'static>],
}

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}
use Bound::{AtLeast, AtMost};

const fn target(
    what: &'static str,
    bound: Bound,
    over: Place<'static>,
    under: &'static [Place<'static>],
) -> Target {
    Target {
        what,
        bound,
        over,
        under,
    }
}

const fn get(case: &'static str, subject: &'static str) -> Place<'static> {
    ("get", case, subject)
}

const fn batch(subject: &'static str) -> Place<'static> {
    ("batch", "100 keys of 64 B", subject)
}

const fn core(subject: &'static str) -> Place<'static> {
    ("core", "in the process", subject)
}

const fn near(subject: &'static str) -> Place<'static> {
    ("near", "in the process", subject)
}

/// Of the latencies in a situation.
const fn p99(situation: &'static str) -> Place<'static> {
    ("stalls", situation, "p99")
}

const BIG: &str = "1 KiB, 10×10";
const WIDE: &str = "1 KiB, 50×1";
const ENTRIES: &str = "1 M entries of 40 B + 256 B";

// A lookup that needs the one before tells how long one takes; in a row the
// processor works on several at a time.
#[rustfmt::skip]
pub(crate) const TARGETS: &[Target] = &[
    target("Get 1 KiB 10×10 ÷ echo", AtLeast(1.10), get(BIG, "credcache"), &[get(BIG, "echo")]),
    target("Get 1 KiB 10×10 ÷ ceiling", AtLeast(0.90), get(BIG, "credcache"), &[get(BIG, "ceiling")]),
    target("Get 1 KiB 50×1 ÷ echo", AtLeast(1.05), get(WIDE, "credcache"), &[get(WIDE, "echo")]),
    target("Get 1 KiB 50×1 ÷ ceiling", AtLeast(0.88), get(WIDE, "credcache"), &[get(WIDE, "ceiling")]),
    target("Get 1 KiB 10×10 ÷ Redis GET, 50 connections", AtLeast(1.0),
        get(BIG, "credcache"), &[get(BIG, "Redis GET, 50 connections")]),
    target("BatchGet(100) 10×10 ÷ Redis MGET(100), the better of 10 and 50 connections", AtLeast(1.25),
        batch("credcache, 10×10"), &[batch("Redis MGET, 10 connections"), batch("Redis MGET, 50 connections")]),
    target("BatchGet(100) 10×1 ÷ Redis MGET(100), 10 connections", AtLeast(1.0),
        batch("credcache, 10×1"), &[batch("Redis MGET, 10 connections")]),
    target("Get 1 KiB 10×10 ÷ etcd Range", AtLeast(6.0), get(BIG, "credcache"), &[get(BIG, "etcd Range")]),
    target("core get ÷ raw quick_cache get, 1 M entries, each after the other: time", AtMost(2.0),
        core("core / quick_cache get, chained, 1000000 entries, 1 threads"), &[]),
    target("core get ÷ raw quick_cache get, 1 M entries, in a row: time", AtMost(2.0),
        core("core / quick_cache get, in a row, 1000000 entries, 1 threads"), &[]),
    target("near-cache hit ÷ raw quick_cache get, 1,000 entries, each after the other: time", AtMost(1.5),
        near("near / quick_cache get, chained, 1000 entries, 1 threads"), &[]),
    target("near-cache hit ÷ raw quick_cache get, 100,000 entries, each after the other: time", AtMost(1.5),
        near("near / quick_cache get, chained, 100000 entries, 1 threads"), &[]),
    target("near-cache hit ÷ raw quick_cache get, 1,000 entries, in a row: time", AtMost(1.5),
        near("near / quick_cache get, in a row, 1000 entries, 1 threads"), &[]),
    target("near-cache hit ÷ raw quick_cache get, 100,000 entries, in a row: time", AtMost(1.5),
        near("near / quick_cache get, in a row, 100000 entries, 1 threads"), &[]),
    target("overhead of an entry, in bytes", AtMost(110.0), ("memory", ENTRIES, "credcache, one tag"), &[]),
    target("Get p99 during the invalidation of a tag ÷ idle", AtMost(2.0),
        p99("100,000 invalidated by one tag"), &[p99("idle")]),
    target("Get p99 during mass expiry ÷ idle", AtMost(2.0),
        p99("100,000 expire within a second"), &[p99("idle")]),
    target("Get p99 during a flood of Puts ÷ idle", AtMost(2.0), p99("Puts into a full tier"), &[p99("idle")]),
    target("core get, 10⁷ entries ÷ 10⁴, each after the other: time", AtMost(3.0),
        core("core get, chained, 10000000 entries, 1 threads"),
        &[core("core get, chained, 10000 entries, 1 threads")]),
    target("core get, 10⁷ entries ÷ 10⁴, in a row: time", AtMost(3.0),
        core("core get, in a row, 10000000 entries, 1 threads"),
        &[core("core get, in a row, 10000 entries, 1 threads")]),
];

/// What came of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reached {
    pub(crate) spread: Spread,
    pub(crate) verdict: Verdict,
    pub(crate) basis: Basis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    NotMet,
    /// The median meets the target, but at least one round does not.
    Inconclusive,
}

/// What of the contestants was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The figure that the target names, where no load generator can hold it
    /// back.
    Figure,
    /// Operations a second: every contestant kept its core busy.
    Rate,
    /// Operations in the same processor time, because a load generator was the
    /// limit of some rate.
    ProcessorTime,
}

/// Percent of its core below which a contestant was held back.
const BUSY: f64 = 98.0;

fn is_held_back(series: &Series) -> bool {
    series
        .median(|sample| sample.busy)
        .is_some_and(|busy| busy < BUSY)
}

impl Target {
    /// What came of it; `None` if a part of it wasn't measured.
    pub(crate) fn reached(&self, report: &Report) -> Option<Reached> {
        let over = report.find(self.over)?;
        let under = self.under.iter().filter_map(|place| report.find(*place));
        let under: Vec<&Series> = under.collect();
        let (spread, basis) = if self.under.is_empty() {
            (over.spread, Basis::Figure)
        } else if under.iter().chain([&over]).any(|one| is_held_back(one)) {
            (by_processor_time(over, &under)?, Basis::ProcessorTime)
        } else {
            let best = under
                .iter()
                .max_by(|one, other| one.spread.median.total_cmp(&other.spread.median))?;
            let basis = match over.samples.is_empty() {
                true => Basis::Figure,
                false => Basis::Rate,
            };
            (by_figure(over, best), basis)
        };
        Some(Reached {
            spread,
            verdict: self.bound.verdict(spread),
            basis,
        })
    }
}

fn by_figure(over: &Series, under: &Series) -> Spread {
    if over.rounds.is_empty() || over.rounds.len() != under.rounds.len() {
        // Measured by a program that reports no rounds.
        return Spread::of([over.spread.median / under.spread.median]);
    }
    Spread::of(ratios(&over.rounds, &under.rounds))
}

/// The inverse of what an operation took, so that more is better, as of rates.
fn by_processor_time(over: &Series, under: &[&Series]) -> Option<Spread> {
    let each = |series: &Series| series.median(|sample| sample.each);
    let best = under
        .iter()
        .filter_map(|series| Some((each(series)?, series)))
        .min_by(|(one, _), (other, _)| one.total_cmp(other));
    let (_, best) = best?;
    Some(Spread::of(ratios(
        &best.processor_times(),
        &over.processor_times(),
    )))
}

impl Bound {
    fn is_met_by(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }

    fn verdict(self, spread: Spread) -> Verdict {
        let worst = match self {
            Self::AtLeast(_) => spread.min,
            Self::AtMost(_) => spread.max,
        };
        match (self.is_met_by(spread.median), self.is_met_by(worst)) {
            (false, _) => Verdict::NotMet,
            (true, false) => Verdict::Inconclusive,
            (true, true) => Verdict::Met,
        }
    }
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not met",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl Basis {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Figure => "the figure",
            Self::Rate => "rate",
            Self::ProcessorTime => "processor time",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    const TARGET: Target = target(
        "",
        AtLeast(1.0),
        get("case", "ours"),
        &[get("case", "slow"), get("case", "fast")],
    );

    #[test]
    fn ratio_is_taken_within_each_round_against_the_best() {
        let mut report = Report::default();
        report.add(get("case", "ours"), "Gets/s", vec![10.0, 40.0, 30.0]);
        report.add(get("case", "slow"), "Gets/s", vec![1.0, 1.0, 1.0]);
        report.add(get("case", "fast"), "Gets/s", vec![10.0, 20.0, 60.0]);
        let expected = Reached {
            spread: Spread::of([0.5, 1.0, 2.0]),
            verdict: Verdict::Inconclusive,
            basis: Basis::Figure,
        };
        assert_eq!(TARGET.reached(&report), Some(expected));
    }

    /// Ours at 100 a second for 10 µs each, `fast` at `rate` for 8 µs each.
    fn beside(busy: f64, rate: f64) -> Reached {
        let sample = |rate, busy, each| Sample {
            rate,
            busy,
            each,
            others: 0.0,
        };
        let mut report = Report::default();
        let mut add = |subject, sample| {
            report.add_samples(("get", "case", subject), "Gets/s", &[sample]);
        };
        add("ours", sample(100.0, 99.0, 10.0));
        add("fast", sample(rate, busy, 8.0));
        add("slow", sample(1.0, 99.0, 90.0));
        TARGET.reached(&report).unwrap()
    }

    #[test]
    fn rates_decide_between_contestants_that_were_busy() {
        let reached = beside(98.0, 50.0);
        assert_eq!(reached.spread.median, 2.0);
        assert_eq!(
            (reached.verdict, reached.basis),
            (Verdict::Met, Basis::Rate)
        );
    }

    #[test]
    fn processor_time_decides_where_a_load_generator_held_somebody_back() {
        let reached = beside(97.9, 50.0);
        assert_eq!(reached.spread.median, 0.8);
        let expected = (Verdict::NotMet, Basis::ProcessorTime);
        assert_eq!((reached.verdict, reached.basis), expected);
    }

    #[test]
    fn nothing_is_reached_where_a_side_is_missing() {
        let mut report = Report::default();
        assert_eq!(TARGET.reached(&report), None);
        report.add(get("case", "ours"), "Gets/s", vec![10.0]);
        assert_eq!(TARGET.reached(&report), None);
    }

    #[test]
    fn every_round_has_to_meet_the_bound_that_the_median_meets() {
        use Verdict::{Inconclusive, Met, NotMet};
        let of = |bound: Bound, figures: [f64; 3]| bound.verdict(Spread::of(figures));
        let (least, most) = (Bound::AtLeast(2.0), Bound::AtMost(2.0));
        assert_eq!(of(least, [2.0, 2.0, 9.0]), Met);
        assert_eq!(of(least, [1.9, 2.0, 9.0]), Inconclusive);
        assert_eq!(of(least, [1.0, 1.9, 9.0]), NotMet);
        assert_eq!(of(most, [1.0, 2.0, 2.0]), Met);
        assert_eq!(of(most, [1.0, 2.0, 2.1]), Inconclusive);
        assert_eq!(of(most, [1.0, 2.1, 2.2]), NotMet);
    }
}
