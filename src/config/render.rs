//! The configuration as TOML: what `check-config` prints, and what gives the
//! same configuration when it is read again.

use std::{fmt, time::Duration};

use toml::Value;

use super::{Config, Group, LogFormat};
use credcache_core::TierSpec;

use crate::duration;

impl Config {
    /// The configuration as a TOML file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        Rendered(self).to_string()
    }
}

struct Rendered<'a>(&'a Config);

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config {
            listen,
            insecure,
            unix,
            workers,
            tiers,
            limits,
            drain_timeout,
            log,
        } = self.0;
        let listen: Vec<String> = listen.iter().map(quoted).collect();
        writeln!(f, "listen = [{}]", listen.join(", "))?;
        writeln!(f, "insecure = {insecure}")?;
        writeln!(f, "workers = {workers}")?;
        writeln!(f, "\n[unix]")?;
        writeln!(f, "mode = {}", quoted(format!("{:04o}", unix.mode)))?;
        if let Some(group) = &unix.group {
            writeln!(f, "group = {}", quoted(group))?;
        }
        writeln!(f, "\n[limits]")?;
        let cache = &limits.cache;
        writeln!(f, "max_value = {}", size(cache.max_value))?;
        writeln!(f, "max_namespaces = {}", cache.max_namespaces)?;
        writeln!(f, "max_connections = {}", limits.max_connections)?;
        writeln!(f, "max_streams = {}", limits.max_streams)?;
        writeln!(f, "max_leases = {}", cache.max_leases)?;
        writeln!(f, "max_waiters = {}", cache.max_waiters)?;
        writeln!(f, "max_revocations = {}", cache.max_revocations)?;
        writeln!(f, "max_watchers = {}", cache.max_watchers)?;
        writeln!(f, "max_journal = {}", size(cache.max_journal))?;
        writeln!(f, "\n[leases]")?;
        writeln!(f, "ttl = {}", duration(cache.lease_ttl))?;
        writeln!(f, "\n[shutdown]")?;
        writeln!(f, "drain_timeout = {}", duration(*drain_timeout))?;
        writeln!(f, "\n[log]")?;
        writeln!(f, "format = {}", quoted(log.format))?;
        writeln!(f, "level = {}", quoted(&log.level))?;
        for TierSpec {
            name,
            max_ttl,
            capacity,
        } in tiers
        {
            writeln!(f, "\n[[tier]]")?;
            writeln!(f, "name = {}", quoted(name))?;
            writeln!(f, "max_ttl = {}", duration(*max_ttl))?;
            writeln!(f, "capacity = {}", size(*capacity))?;
        }
        Ok(())
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

fn quoted(text: impl ToString) -> String {
    Value::String(text.to_string()).to_string()
}

fn duration(duration: Duration) -> String {
    quoted(duration::shown(duration))
}

/// Exact, unlike bytesize's own rounding: in the largest unit that divides it.
fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    units
        .into_iter()
        .find(|(_, shift)| bytes.trailing_zeros() >= *shift)
        .map_or_else(
            || bytes.to_string(),
            |(unit, shift)| quoted(format!("{}{unit}", bytes >> shift)),
        )
}
