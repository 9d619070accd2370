//! The list of settings that have one value: their paths, their variables and
//! what they accept.

/// A setting with one value, in every source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Setting {
    Listen,
    Insecure,
    UnixMode,
    UnixGroup,
    Workers,
    MaxValue,
    MaxNamespaces,
    MaxConnections,
    MaxStreams,
    LeaseTtl,
    MaxLeases,
    MaxWaiters,
    MaxRevocations,
    MaxWatchers,
    MaxJournal,
    DrainTimeout,
    LogFormat,
    LogLevel,
}

impl Setting {
    pub(super) const ALL: [Self; 18] = [
        Self::Listen,
        Self::Insecure,
        Self::UnixMode,
        Self::UnixGroup,
        Self::Workers,
        Self::MaxValue,
        Self::MaxNamespaces,
        Self::MaxConnections,
        Self::MaxStreams,
        Self::LeaseTtl,
        Self::MaxLeases,
        Self::MaxWaiters,
        Self::MaxRevocations,
        Self::MaxWatchers,
        Self::MaxJournal,
        Self::DrainTimeout,
        Self::LogFormat,
        Self::LogLevel,
    ];

    /// The dotted path in the file.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Insecure => "insecure",
            Self::UnixMode => "unix.mode",
            Self::UnixGroup => "unix.group",
            Self::Workers => "workers",
            Self::MaxValue => "limits.max_value",
            Self::MaxNamespaces => "limits.max_namespaces",
            Self::MaxConnections => "limits.max_connections",
            Self::MaxStreams => "limits.max_streams",
            Self::LeaseTtl => "leases.ttl",
            Self::MaxLeases => "limits.max_leases",
            Self::MaxWaiters => "limits.max_waiters",
            Self::MaxRevocations => "limits.max_revocations",
            Self::MaxWatchers => "limits.max_watchers",
            Self::MaxJournal => "limits.max_journal",
            Self::DrainTimeout => "shutdown.drain_timeout",
            Self::LogFormat => "log.format",
            Self::LogLevel => "log.level",
        }
    }

    /// The variable that sets it, such as `CREDCACHE_LIMITS_MAX_VALUE`.
    pub(super) fn variable(self) -> String {
        format!(
            "CREDCACHE_{}",
            self.path().to_ascii_uppercase().replace('.', "_")
        )
    }

    /// What it accepts, for error messages.
    pub(super) fn accepts(self) -> &'static str {
        match self {
            Self::Listen => "a list of host:port (port 0 = any) or unix:PATH",
            Self::Insecure => "true or false",
            Self::UnixMode => {
                "a mode in octal, as text, such as \"0660\": 6 for the owner, and for group and \
                 others 0, or a right that includes writing, which connecting takes"
            }
            Self::UnixGroup => "the name of a group of this host, or its number",
            Self::Workers => "a number from 1 to 1024",
            Self::MaxValue => "a size from 1B to 1MiB, such as \"64KiB\"",
            Self::MaxNamespaces => "a number from 1 to 65536",
            Self::MaxConnections => "a number from 1 to 1000000",
            Self::MaxStreams => "a number from 1 to 65536",
            Self::LeaseTtl => "a duration from 1s to 5m, such as \"10s\"",
            Self::MaxLeases => "a number from 1 to 1000000",
            Self::MaxWaiters => "a number from 1 to 1000000",
            Self::MaxRevocations => "a number from 8 to 10000000",
            Self::MaxWatchers => "a number from 1 to 1000000",
            Self::MaxJournal => "a size from 64KiB to 1TiB, such as \"64MiB\"",
            Self::DrainTimeout => "a duration from 0s to 1h, such as \"10s\"",
            Self::LogFormat => "text or json",
            Self::LogLevel => {
                "off, error, warn, info, debug or trace, or target=level pairs, comma separated"
            }
        }
    }

    pub(super) fn at_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.path() == path)
    }

    pub(super) fn of_variable(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|setting| setting.variable() == name)
    }

    /// Whether `name` is a table of settings in the file.
    pub(super) fn is_section(name: &str) -> bool {
        Self::ALL.into_iter().any(|setting| {
            setting
                .path()
                .split_once('.')
                .is_some_and(|(section, _)| section == name)
        })
    }
}
