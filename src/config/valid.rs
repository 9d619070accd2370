//! What was typed, checked: bounds of single values, then what settings demand
//! of each other. Goes on after an error, so that all are told at once.

use std::{num::NonZero, ops::RangeInclusive, thread, time::Duration};

use toml::{Table, Value};

use super::{
    Config, Limits, ListenAddr, LogConfig, LogFormat, UnixAccess,
    error::{Origin, SettingError},
    raw::Raw,
    setting::Setting,
    value::{self, Problem},
};
use credcache_core::{self, MAX_TIERS, MAX_VALUE_LIMIT, TierSpec, smallest_capacity};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const HOUR: Duration = Duration::from_secs(3600);

const OWNER_ONLY: u32 = 0o600;
const WORKER_BOUNDS: RangeInclusive<u32> = 1..=1024;
const VALUE_BOUNDS: RangeInclusive<u64> = 1..=MAX_VALUE_LIMIT;
/// Stats sums over all of them.
const NAMESPACE_BOUNDS: RangeInclusive<u32> = 1..=65_536;
const CONNECTION_BOUNDS: RangeInclusive<u32> = 1..=1_000_000;
const STREAM_BOUNDS: RangeInclusive<u32> = 1..=65_536;
const LEASE_BOUNDS: RangeInclusive<u32> = 1..=1_000_000;
/// One in each of the parts it is divided into.
const REVOCATION_BOUNDS: RangeInclusive<u32> = 8..=10_000_000;
/// Some events in each of the parts it is divided into.
const JOURNAL_BOUNDS: RangeInclusive<u64> = 64 * KIB..=1024 * 1024 * MIB;
const LEASE_TTL_BOUNDS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(300);
const DRAIN_BOUNDS: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
const MAX_TTL_BOUNDS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(10 * 31_557_600);
const MIN_CAPACITY: u64 = MIB;
/// Keeps the sum over all tiers far from overflow.
const MAX_CAPACITY: u64 = 1 << 50;
const ACCEPTED_TIERS: &str = "1 to 16 [[tier]] tables of name, max_ttl and capacity";
const ACCEPTED_NAME: &str =
    "1 to 63 of [a-z0-9._-], starting with a letter or digit, each name once";
const ACCEPTED_MAX_TTL: &str =
    "a duration from 1s to 3652d, such as \"15m\", another in every tier";
const ACCEPTED_CAPACITY: &str =
    "a size up to 1PiB, such as \"64MiB\", with room for 16 of the largest credentials";

/// The configuration, good only if `errors` stays empty.
pub(super) fn validate(raw: &Raw, errors: &mut Vec<SettingError>) -> Config {
    let mut reader = Reader { raw, errors };
    let listen = reader.read(Setting::Listen, value::addresses, default_listen);
    let insecure = reader.read(Setting::Insecure, value::boolean, || false);
    let unix = UnixAccess {
        mode: reader.read(Setting::UnixMode, value::socket_mode, || OWNER_ONLY),
        group: reader.read(Setting::UnixGroup, value::group, || None),
    };
    let workers = reader.read(
        Setting::Workers,
        |typed| value::number(typed, &WORKER_BOUNDS),
        default_workers,
    );
    let limits = reader.limits();
    let config = Config {
        tiers: reader.tiers(limits.cache.max_value),
        limits,
        drain_timeout: reader.read(
            Setting::DrainTimeout,
            |typed| value::duration(typed, &DRAIN_BOUNDS),
            || Duration::from_secs(10),
        ),
        log: LogConfig {
            format: reader.read(Setting::LogFormat, value::log_format, || LogFormat::Text),
            level: reader.read(Setting::LogLevel, value::log_level, || "info".into()),
        },
        listen,
        insecure,
        unix,
        workers,
    };
    if !config.insecure {
        reader.refuse_reachable(&config.listen);
    }
    config
}

struct Reader<'a> {
    raw: &'a Raw,
    errors: &'a mut Vec<SettingError>,
}

impl Reader<'_> {
    fn read<T>(
        &mut self,
        setting: Setting,
        parse: impl FnOnce(&Value) -> Result<T, Problem>,
        default: impl FnOnce() -> T,
    ) -> T {
        let Some(typed) = self.raw.values.get(&setting) else {
            return default();
        };
        parse(&typed.value).unwrap_or_else(|problem| {
            self.errors.push(SettingError {
                setting: setting.path().into(),
                origin: typed.origin.clone(),
                problem,
                accepts: setting.accepts(),
            });
            default()
        })
    }

    fn limits(&mut self) -> Limits {
        let default = credcache_core::Limits::default();
        let mut number = |setting, bounds: RangeInclusive<u32>, default| {
            self.read(setting, |typed| value::number(typed, &bounds), || default)
        };
        // A connection from each pod of the largest clusters, and far below the
        // hard limit of open files that systemd and Docker give.
        let max_connections = number(Setting::MaxConnections, CONNECTION_BOUNDS, 10_000);
        let max_streams = number(Setting::MaxStreams, STREAM_BOUNDS, 512);
        let max_namespaces = number(
            Setting::MaxNamespaces,
            NAMESPACE_BOUNDS,
            default.max_namespaces,
        );
        let max_leases = number(Setting::MaxLeases, LEASE_BOUNDS, default.max_leases);
        let max_waiters = number(Setting::MaxWaiters, LEASE_BOUNDS, default.max_waiters);
        let max_revocations = number(
            Setting::MaxRevocations,
            REVOCATION_BOUNDS,
            default.max_revocations,
        );
        let max_watchers = number(Setting::MaxWatchers, LEASE_BOUNDS, default.max_watchers);
        let mut bytes = |setting, bounds: RangeInclusive<u64>, default| {
            self.read(setting, |typed| value::size(typed, &bounds), || default)
        };
        let max_value = bytes(Setting::MaxValue, VALUE_BOUNDS, default.max_value);
        let max_journal = bytes(Setting::MaxJournal, JOURNAL_BOUNDS, default.max_journal);
        let lease_ttl = self.read(
            Setting::LeaseTtl,
            |typed| value::duration(typed, &LEASE_TTL_BOUNDS),
            || default.lease_ttl,
        );
        Limits {
            cache: credcache_core::Limits {
                max_value,
                max_namespaces,
                lease_ttl,
                max_leases,
                max_waiters,
                max_revocations,
                max_watchers,
                max_journal,
                ..default
            },
            max_connections,
            max_streams,
        }
    }

    fn tiers(&mut self, max_value: u64) -> Vec<TierSpec> {
        let capacities = smallest_capacity(max_value).max(MIN_CAPACITY)..=MAX_CAPACITY;
        let typed = self.raw.tiers.as_deref();
        // By the place in the file, which a tier that is refused keeps.
        let tiers: Vec<(usize, TierSpec)> = match typed {
            Some(tables) => tables
                .iter()
                .enumerate()
                .filter_map(|(index, table)| Some((index, self.tier(index, table, &capacities)?)))
                .collect(),
            None => default_tiers().into_iter().enumerate().collect(),
        };
        if let Some(tables) = typed
            && !(1..=MAX_TIERS).contains(&tables.len())
        {
            let problem = format!("there are {}", tables.len());
            self.refuse("tier".into(), problem, ACCEPTED_TIERS);
        }
        self.refuse_repeated(&tiers);
        tiers.into_iter().map(|(_, tier)| tier).collect()
    }

    fn tier(
        &mut self,
        index: usize,
        table: &Table,
        capacities: &RangeInclusive<u64>,
    ) -> Option<TierSpec> {
        for name in table.keys() {
            if !["name", "max_ttl", "capacity"].contains(&name.as_str()) {
                let path = format!("tier[{index}].{}", name.escape_debug());
                self.refuse(path, "is no setting".into(), ACCEPTED_TIERS);
            }
        }
        let name = self.field(index, table, "name", ACCEPTED_NAME, value::tier_name);
        let max_ttl = self.field(index, table, "max_ttl", ACCEPTED_MAX_TTL, |typed| {
            value::duration(typed, &MAX_TTL_BOUNDS)
        });
        let capacity = self.field(index, table, "capacity", ACCEPTED_CAPACITY, |typed| {
            value::size(typed, capacities)
        });
        Some(TierSpec {
            name: name?,
            max_ttl: max_ttl?,
            capacity: capacity?,
        })
    }

    fn field<T>(
        &mut self,
        index: usize,
        table: &Table,
        name: &str,
        accepts: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, Problem>,
    ) -> Option<T> {
        let parsed = table
            .get(name)
            .ok_or_else(|| "is missing".into())
            .and_then(parse);
        parsed
            .map_err(|problem| self.refuse(format!("tier[{index}].{name}"), problem, accepts))
            .ok()
    }

    fn refuse_repeated(&mut self, tiers: &[(usize, TierSpec)]) {
        for (place, (index, tier)) in tiers.iter().enumerate() {
            let mut before = tiers[..place].iter().map(|(_, other)| other);
            if before.clone().any(|other| other.name == tier.name) {
                let problem = format!("{:?} is taken by another tier", tier.name);
                self.refuse(format!("tier[{index}].name"), problem, ACCEPTED_NAME);
            }
            if before.any(|other| other.max_ttl == tier.max_ttl) {
                let problem = "another tier has the same".into();
                self.refuse(format!("tier[{index}].max_ttl"), problem, ACCEPTED_MAX_TTL);
            }
        }
    }

    fn refuse(&mut self, setting: String, problem: String, accepts: &'static str) {
        self.errors.push(SettingError {
            setting,
            origin: match self.raw.tiers {
                Some(_) => Origin::File,
                None => Origin::Default,
            },
            problem,
            accepts,
        });
    }

    fn refuse_reachable(&mut self, listen: &[ListenAddr]) {
        let origin = self
            .raw
            .values
            .get(&Setting::Listen)
            .map_or(Origin::Default, |typed| typed.origin.clone());
        for address in listen.iter().filter(|address| !address.is_local()) {
            self.errors.push(SettingError {
                setting: Setting::Listen.path().into(),
                origin: origin.clone(),
                problem: format!("other hosts could read the plaintext on {address}"),
                accepts: "loopback addresses and Unix sockets; any address with --insecure",
            });
        }
    }
}

fn default_listen() -> Vec<ListenAddr> {
    vec![ListenAddr::Ip(([127, 0, 0, 1], 50051).into())]
}

/// As many as the processors that the process may use, by its affinity and its
/// quota; one where the system doesn't say.
fn default_workers() -> u32 {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    u32::try_from(processors).map_or(*WORKER_BOUNDS.end(), |count| {
        count.min(*WORKER_BOUNDS.end())
    })
}

fn default_tiers() -> [TierSpec; 4] {
    [
        ("1-minute", HOUR / 60),
        ("15-minutes", HOUR / 4),
        ("1-hour", HOUR),
        ("12-hours", HOUR * 12),
    ]
    .map(|(name, max_ttl)| TierSpec {
        name: name.into(),
        max_ttl,
        capacity: 64 * MIB,
    })
}
