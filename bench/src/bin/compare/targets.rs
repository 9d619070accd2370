//! What is aimed at: each a ratio within one run, taken within each round.

use std::fmt;

use crate::{
    figures::Spread,
    report::{Place, Report},
};

/// A figure, and what it has to reach.
pub(crate) struct Target {
    pub(crate) what: &'static str,
    pub(crate) bound: Bound,
    over: Place<'static>,
    /// The one of these with the highest median; the figure is taken as it is
    /// where there is none.
    under: &'static [Place<'static>],
}

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

const BIG: &str = "1 KiB, 10×10";
const WIDE: &str = "1 KiB, 50×1";
const BATCH: &str = "100 keys of 64 B";
const CORE: &str = "in the process";
const IDLE: Place<'_> = ("stalls", "idle", "p99");

pub(crate) const TARGETS: &[Target] = &[
    Target {
        what: "Get 1 KiB 10×10 ÷ echo",
        bound: Bound::AtLeast(1.10),
        over: ("get", BIG, "credcache"),
        under: &[("get", BIG, "echo")],
    },
    Target {
        what: "Get 1 KiB 10×10 ÷ ceiling",
        bound: Bound::AtLeast(0.90),
        over: ("get", BIG, "credcache"),
        under: &[("get", BIG, "ceiling")],
    },
    Target {
        what: "Get 1 KiB 50×1 ÷ echo",
        bound: Bound::AtLeast(1.05),
        over: ("get", WIDE, "credcache"),
        under: &[("get", WIDE, "echo")],
    },
    Target {
        what: "Get 1 KiB 50×1 ÷ ceiling",
        bound: Bound::AtLeast(0.88),
        over: ("get", WIDE, "credcache"),
        under: &[("get", WIDE, "ceiling")],
    },
    Target {
        what: "Get 1 KiB 10×10 ÷ Redis GET, 50 connections",
        bound: Bound::AtLeast(1.0),
        over: ("get", BIG, "credcache"),
        under: &[("get", BIG, "Redis GET, 50 connections")],
    },
    Target {
        what: "BatchGet(100) 10×10 ÷ Redis MGET(100), the better of 10 and 50 connections",
        bound: Bound::AtLeast(1.25),
        over: ("batch", BATCH, "credcache, 10×10"),
        under: &[
            ("batch", BATCH, "Redis MGET, 10 connections"),
            ("batch", BATCH, "Redis MGET, 50 connections"),
        ],
    },
    Target {
        what: "BatchGet(100) 10×1 ÷ Redis MGET(100), 10 connections",
        bound: Bound::AtLeast(1.0),
        over: ("batch", BATCH, "credcache, 10×1"),
        under: &[("batch", BATCH, "Redis MGET, 10 connections")],
    },
    Target {
        what: "Get 1 KiB 10×10 ÷ etcd Range",
        bound: Bound::AtLeast(6.0),
        over: ("get", BIG, "credcache"),
        under: &[("get", BIG, "etcd Range")],
    },
    // A lookup that needs the one before tells how long one takes; in a row
    // the processor works on several at a time.
    Target {
        what: "core get ÷ raw quick_cache get, 1 M entries, each after the other: time",
        bound: Bound::AtMost(2.0),
        over: (
            "core",
            CORE,
            "core / quick_cache get, chained, 1000000 entries, 1 threads",
        ),
        under: &[],
    },
    Target {
        what: "core get ÷ raw quick_cache get, 1 M entries, in a row: time",
        bound: Bound::AtMost(2.0),
        over: (
            "core",
            CORE,
            "core / quick_cache get, in a row, 1000000 entries, 1 threads",
        ),
        under: &[],
    },
    Target {
        what: "near-cache hit ÷ raw quick_cache get, 1,000 entries, each after the other: time",
        bound: Bound::AtMost(1.5),
        over: ("near", CORE, "near_by_raw/chained/1000/1"),
        under: &[],
    },
    Target {
        what: "near-cache hit ÷ raw quick_cache get, 100,000 entries, each after the other: time",
        bound: Bound::AtMost(1.5),
        over: ("near", CORE, "near_by_raw/chained/100000/1"),
        under: &[],
    },
    Target {
        what: "near-cache hit ÷ raw quick_cache get, 1,000 entries, in a row: time",
        bound: Bound::AtMost(1.5),
        over: ("near", CORE, "near_by_raw/in_a_row/1000/1"),
        under: &[],
    },
    Target {
        what: "near-cache hit ÷ raw quick_cache get, 100,000 entries, in a row: time",
        bound: Bound::AtMost(1.5),
        over: ("near", CORE, "near_by_raw/in_a_row/100000/1"),
        under: &[],
    },
    Target {
        what: "overhead of an entry, in bytes",
        bound: Bound::AtMost(110.0),
        over: (
            "memory",
            "1 M entries of 40 B + 256 B",
            "credcache, one tag",
        ),
        under: &[],
    },
    Target {
        what: "Get p99 during the invalidation of a tag ÷ idle",
        bound: Bound::AtMost(2.0),
        over: ("stalls", "100,000 invalidated by one tag", "p99"),
        under: &[IDLE],
    },
    Target {
        what: "Get p99 during mass expiry ÷ idle",
        bound: Bound::AtMost(2.0),
        over: ("stalls", "100,000 expire within a second", "p99"),
        under: &[IDLE],
    },
    Target {
        what: "Get p99 during a flood of Puts ÷ idle",
        bound: Bound::AtMost(2.0),
        over: ("stalls", "Puts into a full tier", "p99"),
        under: &[IDLE],
    },
    Target {
        what: "core get, 10⁷ entries ÷ 10⁴, each after the other: time",
        bound: Bound::AtMost(3.0),
        over: (
            "core",
            CORE,
            "core get, chained, 10000000 entries, 1 threads",
        ),
        under: &[("core", CORE, "core get, chained, 10000 entries, 1 threads")],
    },
    Target {
        what: "core get, 10⁷ entries ÷ 10⁴, in a row: time",
        bound: Bound::AtMost(3.0),
        over: (
            "core",
            CORE,
            "core get, in a row, 10000000 entries, 1 threads",
        ),
        under: &[("core", CORE, "core get, in a row, 10000 entries, 1 threads")],
    },
];

impl Target {
    /// The ratio; `None` if a part of it wasn't measured.
    pub(crate) fn reached(&self, report: &Report) -> Option<Spread> {
        let over = report.find(self.over)?;
        if self.under.is_empty() {
            return Some(over.spread);
        }
        let under = self
            .under
            .iter()
            .filter_map(|place| report.find(*place))
            .max_by(|one, other| one.spread.median.total_cmp(&other.spread.median))?;
        if over.rounds.is_empty() || over.rounds.len() != under.rounds.len() {
            // Measured by somebody who tells no rounds.
            return Some(Spread::of([over.spread.median / under.spread.median]));
        }
        let rounds = over.rounds.iter().zip(&under.rounds);
        Some(Spread::of(rounds.map(|(over, under)| over / under)))
    }
}

impl Bound {
    pub(crate) fn is_met_by(self, spread: Spread) -> bool {
        match self {
            Self::AtLeast(least) => spread.median >= least,
            Self::AtMost(most) => spread.median <= most,
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

    const TARGET: Target = Target {
        what: "",
        bound: Bound::AtLeast(1.0),
        over: ("get", "case", "ours"),
        under: &[("get", "case", "slow"), ("get", "case", "fast")],
    };

    #[test]
    fn ratio_is_taken_within_each_round_against_the_best() {
        let mut report = Report::default();
        report.add(("get", "case", "ours"), "Gets/s", vec![10.0, 40.0, 30.0]);
        report.add(("get", "case", "slow"), "Gets/s", vec![1.0, 1.0, 1.0]);
        report.add(("get", "case", "fast"), "Gets/s", vec![10.0, 20.0, 60.0]);
        let expected = Spread {
            median: 1.0,
            min: 0.5,
            max: 2.0,
        };
        assert_eq!(TARGET.reached(&report), Some(expected));
        assert!(TARGET.bound.is_met_by(expected));
    }

    #[test]
    fn nothing_is_reached_where_a_side_is_missing() {
        let mut report = Report::default();
        assert_eq!(TARGET.reached(&report), None);
        report.add(("get", "case", "ours"), "Gets/s", vec![10.0]);
        assert_eq!(TARGET.reached(&report), None);
    }

    #[test]
    fn bound_from_above_is_met_from_below() {
        let most = Bound::AtMost(2.0);
        assert!(most.is_met_by(Spread::of([2.0])));
        assert!(!most.is_met_by(Spread::of([2.1])));
    }
}
