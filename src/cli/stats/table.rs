//! The counters for people: a few lines about the server, and a row per tier.

use std::{fmt::Write, time::SystemTime};

use bytesize::ByteSize;
use credcache_client::{MissCounts, Stats, TierStats};

use crate::{
    cli::{escape, text},
    duration,
};

pub(super) fn render(stats: &Stats, now: SystemTime) -> String {
    let mut lines = summary(stats, now);
    lines.push(String::new());
    lines.extend(align(&tiers(&stats.tiers)));
    lines.join("\n")
}

fn summary(stats: &Stats, now: SystemTime) -> Vec<String> {
    let server = &stats.server;
    // The clocks of two machines may differ: a start in the future counts as a start just now.
    let uptime = now.duration_since(server.started_at).unwrap_or_default();
    let ratio = stats
        .hit_ratio()
        .map_or_else(String::new, |ratio| format!(" ({:.1} %)", ratio * 100.0));
    let mut lines = vec![
        format!(
            "credcache {}, instance {}, up {}",
            escape::line(&server.version),
            escape::line(&server.instance_id),
            text::seconds(uptime)
        ),
        String::new(),
        format!("hits           {}{ratio}", stats.hits),
        format!(
            "misses         {}{}",
            stats.misses.total(),
            reasons(&stats.misses)
        ),
        format!(
            "puts           {}, refused {}",
            stats.puts, stats.puts_refused
        ),
        format!(
            "invalidations  {}, removed {}",
            stats.invalidations, stats.invalidated
        ),
    ];
    let leases = &stats.leases;
    if *leases != Default::default() {
        lines.push(format!(
            "leases         {}: filled {}, abandoned {}, expired {}, revoked {}; waits {}, \
             waiting now {}",
            leases.granted,
            leases.filled,
            leases.abandoned,
            leases.expired,
            leases.revoked,
            leases.waits,
            leases.waiting
        ));
    }
    lines.push(format!("namespaces     {}", stats.namespaces));
    lines.push(format!("revision       {}", stats.revision));
    lines
}

/// The reasons with a count: `: 5 not found, 1 expired`.
fn reasons(misses: &MissCounts) -> String {
    let counts = [
        (misses.not_found, "not found"),
        (misses.expired, "expired"),
        (misses.revoked, "revoked"),
        (misses.ttl_too_short, "ttl too short"),
        (misses.pending, "pending"),
    ];
    let mut text = String::new();
    for (count, reason) in counts.iter().filter(|(count, _)| *count > 0) {
        let separator = if text.is_empty() { ':' } else { ',' };
        let _ = write!(text, "{separator} {count} {reason}");
    }
    text
}

const HEADER: [&str; COLUMNS] = [
    "TIER",
    "MAX TTL",
    "ENTRIES",
    "USED",
    "CAPACITY",
    "FILL",
    "HITS",
    "EVICTIONS",
    "EXPIRATIONS",
];
const COLUMNS: usize = 9;

type Row = [String; COLUMNS];

fn tiers(tiers: &[TierStats]) -> Vec<Row> {
    let rows = tiers.iter().map(|tier| {
        [
            escape::line(&tier.name),
            duration::format(tier.max_ttl),
            tier.entries.to_string(),
            ByteSize(tier.used_bytes).to_string(),
            ByteSize(tier.capacity_bytes).to_string(),
            fill(tier),
            tier.hits.to_string(),
            tier.evictions.to_string(),
            tier.expirations.to_string(),
        ]
    });
    std::iter::once(HEADER.map(String::from))
        .chain(rows)
        .collect()
}

const BAR: u128 = 10;

/// `[##........]  21 %`. Any use at all shows as one mark.
fn fill(tier: &TierStats) -> String {
    let (used, capacity) = (
        u128::from(tier.used_bytes),
        u128::from(tier.capacity_bytes.max(1)),
    );
    let percent = (used * 100 / capacity).min(100);
    let marks = (used * BAR).div_ceil(capacity).min(BAR);
    let bar: String = (0..BAR)
        .map(|place| if place < marks { '#' } else { '.' })
        .collect();
    format!("[{bar}] {percent:>3} %")
}

/// Columns as wide as their widest cell: the name left-aligned, numbers right-aligned.
fn align(rows: &[Row]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| width(column).unwrap_or_default());
    rows.iter()
        .map(|row| {
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (cell, width) in row.iter().zip(widths).skip(1) {
                let _ = write!(line, "  {cell:>width$}");
            }
            line
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use credcache_client::ServerInfo;

    use super::*;

    fn tier(name: &str, max_ttl: u64, used_bytes: u64) -> TierStats {
        let mut tier = TierStats::new(name, Duration::from_secs(max_ttl), 64 << 20);
        tier.used_bytes = used_bytes;
        tier.entries = 12;
        tier.hits = 1_300;
        tier.expirations = 7;
        tier
    }

    fn sample() -> Stats {
        let server = ServerInfo::new("0.1.0", "5f2c", SystemTime::UNIX_EPOCH);
        let mut stats = Stats::new(server);
        stats.hits = 3_000;
        stats.misses.not_found = 990;
        stats.misses.revoked = 10;
        stats.puts = 500;
        stats.puts_refused = 3;
        stats.invalidations = 12;
        stats.invalidated = 40;
        stats.revision = 512;
        stats.namespaces = 2;
        stats.tiers = vec![tier("1-minute", 60, 1), tier("12-hours", 43_200, 64 << 20)];
        stats
    }

    #[test]
    fn sample_is_rendered_aligned() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(7_384);
        let expected = "\
credcache 0.1.0, instance 5f2c, up 2h 3m 4s

hits           3000 (75.0 %)
misses         1000: 990 not found, 10 revoked
puts           500, refused 3
invalidations  12, removed 40
namespaces     2
revision       512

TIER      MAX TTL  ENTRIES      USED  CAPACITY                FILL  HITS  EVICTIONS  EXPIRATIONS
1-minute       1m       12       1 B  64.0 MiB  [#.........]   0 %  1300          0            7
12-hours      12h       12  64.0 MiB  64.0 MiB  [##########] 100 %  1300          0            7";
        assert_eq!(render(&sample(), now), expected);
    }

    #[test]
    fn server_without_traffic_has_no_ratio() {
        let mut idle = sample();
        idle.hits = 0;
        idle.misses = MissCounts::default();
        let text = render(&idle, SystemTime::UNIX_EPOCH);
        assert!(
            text.contains("hits           0\n") && text.contains("misses         0\n"),
            "{text}"
        );
    }

    #[test]
    fn leases_are_shown_once_there_are_any() {
        let mut stats = sample();
        stats.leases.granted = 2;
        stats.leases.filled = 1;
        stats.leases.revoked = 3;
        let text = render(&stats, SystemTime::UNIX_EPOCH);
        assert!(text.contains("leases         2: filled 1,"), "{text}");
        assert!(text.contains(", revoked 3;"), "{text}");
    }

    #[test]
    fn name_of_a_tier_does_nothing_to_a_terminal() {
        let mut stats = sample();
        stats.tiers = vec![tier("\x1b[2J\n", 60, 1)];
        let text = render(&stats, SystemTime::UNIX_EPOCH);
        assert!(text.contains("\n\\u{1b}[2J\\n "), "{text}");
    }
}
