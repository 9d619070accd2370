//! The table of settings. Each setting is described here and nowhere else: the field that holds it,
//! its default, and a row with its path in the file, the form and the bounds of its value, its text
//! and its flag. The name of its variable is made from the path.
//!
//! The parser, the errors, `check-config`, `--help` and README's table come from the rows. To add a
//! setting, add a field, its default and a row; then run `UPDATE_README=1 cargo test --lib readme`.

use std::{num::NonZero, thread, time::Duration};

use credcache_core::{MAX_VALUE_LIMIT, TierSpec};

use super::{
    form::{Boolean, Number, Optional, Size, Span},
    listen::{Addresses, ListenAddr},
    log::{LOG_FORMAT, LogFormat, LogLevel},
    setting::{Setting, field},
    tables::List,
    tiers::{self, TIERS, default_tiers},
    unix::{Group, GroupName, SocketMode},
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const MAX_WORKERS: u32 = 1024;

/// The settings with one value each, in the order in which they are printed. The settings of a
/// section stand together, and settings without a section come first.
pub(super) static SETTINGS: &[Setting<Config>] = &[
    Setting::new(
        "listen",
        field!(Config.listen, Addresses),
        "The addresses to listen on",
    )
    .flag_named("--listen"),
    Setting::new(
        "insecure",
        field!(Config.insecure, Boolean),
        "Allow plaintext on addresses that other hosts can reach",
    )
    .flag_named("--insecure"),
    Setting::new(
        "workers",
        field!(Config.workers, Number(1..=MAX_WORKERS)),
        "How many threads serve connections",
    )
    .with_default("one for each processor that the process may use"),
    Setting::new(
        "unix.mode",
        field!(Config.unix.mode, SocketMode),
        "The permissions of the Unix sockets, which decide who may connect",
    )
    .flag_named("--unix-mode"),
    Setting::new(
        "unix.group",
        field!(Config.unix.group, Optional(GroupName)),
        "The group of the Unix sockets; the server's user has to be a member",
    )
    .flag_named("--unix-group")
    .with_default("the group of the process"),
    Setting::new(
        "limits.max_value",
        field!(Config.limits.cache.max_value, Size(1..=MAX_VALUE_LIMIT)),
        "The largest value of a credential",
    ),
    // Bounded because Stats sums over all namespaces.
    Setting::new(
        "limits.max_namespaces",
        field!(Config.limits.cache.max_namespaces, Number(1..=65_536)),
        "How many namespaces can hold something at a time",
    ),
    Setting::new(
        "limits.max_connections",
        field!(Config.limits.max_connections, Number(1..=1_000_000)),
        "How many connections can be open; a lower limit of open files lowers this number, \
         which is logged at start. The last quarter is for hosts and users that hold less than an \
         equal share",
    ),
    Setting::new(
        "limits.max_streams",
        field!(Config.limits.max_streams, Number(1..=65_536)),
        "How many calls one connection can have in flight",
    ),
    Setting::new(
        "limits.connection_memory",
        field!(Config.limits.connection_memory, Size(5 * MIB..=TIB)),
        "The memory that one connection can hold for requests that are under way, and as much for \
         responses",
    ),
    Setting::new(
        "limits.memory",
        field!(Config.limits.memory, Size(32 * MIB..=TIB)),
        "The memory that all connections together can hold for requests and responses that are \
         under way",
    ),
    Setting::new(
        "limits.max_leases",
        field!(Config.limits.cache.max_leases, Number(1..=1_000_000)),
        "How many keys can have a lease or be in a cool-down; as many expired leases and as many \
         fills are remembered besides",
    ),
    Setting::new(
        "limits.max_waiters",
        field!(Config.limits.cache.max_waiters, Number(1..=1_000_000)),
        "How many Gets can wait, 8192 of them for one key",
    ),
    // At least one invalidation for each of the parts into which this memory is divided.
    Setting::new(
        "limits.max_revocations",
        field!(Config.limits.cache.max_revocations, Number(8..=10_000_000)),
        "How many invalidations are remembered one by one; further ones count for their whole \
         namespace",
    ),
    Setting::new(
        "limits.max_watchers",
        field!(Config.limits.cache.max_watchers, Number(1..=1_000_000)),
        "How many Watch streams can be open",
    ),
    // At least a few events for each of the parts into which this memory is divided.
    Setting::new(
        "limits.max_journal",
        field!(Config.limits.cache.max_journal, Size(64 * KIB..=TIB)),
        "The memory for changes that are kept for watchers that come back or read late",
    ),
    Setting::new(
        "leases.ttl",
        field!(
            Config.limits.cache.lease_ttl,
            Span(SECOND..=MINUTE.saturating_mul(5))
        ),
        "The lifetime of a lease that is requested without a lease_ttl",
    ),
    Setting::new(
        "connection.max_age",
        field!(Config.max_age, Span(SECOND..=HOUR.saturating_mul(24 * 365))),
        "How long a connection can live, within a tenth of it more or less, before its client is \
         asked to open another; its Watch streams end then, and other calls go on",
    ),
    Setting::new(
        "shutdown.drain_timeout",
        field!(Config.drain_timeout, Span(Duration::ZERO..=HOUR)),
        "How long calls in flight can go on after SIGTERM or SIGINT",
    )
    .flag_named("--drain-timeout"),
    Setting::new(
        "log.format",
        field!(Config.log.format, LOG_FORMAT),
        "The format of the log, which goes to stderr",
    )
    .flag_named("--log-format"),
    Setting::new(
        "log.level",
        field!(Config.log.level, LogLevel),
        "The least severe level that is logged",
    )
    .flag_named("--log-level"),
];

/// The lists of tables, in the order in which they are printed.
pub(super) static LISTS: &[List<Config>] = &[List {
    tables: &TIERS,
    read: |tables, config, errors| {
        config.tiers = tiers::read(tables, config.limits.cache.max_value, errors);
    },
    write: |config| {
        let tiers = config.tiers.iter();
        tiers.map(|tier| TIERS.write(&tier.into())).collect()
    },
}];

/// The server's settings. A loaded configuration needs no further check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The addresses to listen on; never empty.
    pub listen: Vec<ListenAddr>,
    /// Whether plaintext is allowed on addresses that other hosts can reach.
    pub insecure: bool,
    /// Who may connect to the Unix sockets.
    pub unix: UnixAccess,
    /// The number of threads that serve connections; never zero.
    pub workers: u32,
    /// The lifetime classes: 1 to 16, with distinct names and lifetimes, in the order of the file.
    pub tiers: Vec<TierSpec>,
    /// Bounds on what one client, or all clients together, may take.
    pub limits: Limits,
    /// How long a connection may live before its client is asked to open another.
    pub max_age: Duration,
    /// How long calls in flight may go on after the signal to stop.
    pub drain_timeout: Duration,
    /// What is logged, and in which format.
    pub log: LogConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddr::Ip(([127, 0, 0, 1], 50051).into())],
            insecure: false,
            unix: UnixAccess {
                mode: 0o600,
                group: None,
            },
            workers: default_workers(),
            tiers: default_tiers(),
            limits: Limits::default(),
            // Connections spread over new servers within the hour.
            max_age: HOUR,
            drain_timeout: Duration::from_secs(10),
            log: LogConfig {
                format: LogFormat::Text,
                level: "info".into(),
            },
        }
    }
}

/// Who may connect to the Unix sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixAccess {
    /// The permissions of the socket files, at most 0o777. The owner can always read and write.
    pub mode: u32,
    /// The group of the socket files. `None` is the group of the process.
    pub group: Option<Group>,
}

/// Bounds on what clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What the cache holds and remembers.
    pub cache: credcache_core::Limits,
    /// How many connections may be open at once, over all listeners.
    pub max_connections: u32,
    /// How many calls one connection may have in flight.
    pub max_streams: u32,
    /// How much memory one connection may hold for requests, and for responses, in bytes.
    pub connection_memory: u64,
    /// How much memory all connections may hold for requests and responses, in bytes.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cache: credcache_core::Limits::default(),
            // One connection from each pod of the largest clusters, and far below the hard limit of
            // open files that systemd and Docker set.
            max_connections: 10_000,
            max_streams: 512,
            // Two of the largest messages.
            connection_memory: 8 * MIB,
            memory: 256 * MIB,
        }
    }
}

/// What is logged, and in which format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The format of a line.
    pub format: LogFormat,
    /// A filter that `tracing_subscriber::EnvFilter` accepts.
    pub level: String,
}

/// The number of processors that the process may use by its affinity and its quota, or 1 where the
/// system doesn't report a number.
fn default_workers() -> u32 {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    u32::try_from(processors).map_or(MAX_WORKERS, |count| count.min(MAX_WORKERS))
}
