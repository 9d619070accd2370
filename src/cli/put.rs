//! `credcache put`.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use credcache_client::{Lease, LeaseToken, Put, Secret, Stored};
use serde_json::json;

use super::{
    connection::ConnectionArgs,
    failure::Failure,
    lease,
    lifetime::LifetimeArgs,
    output::{self, Format},
    text, value,
};

pub(super) const EXAMPLES: &str = "\
The value is stored byte for byte; a newline at its end is kept unless
--trim-newline is given. An empty value is refused.

Examples:
  vault token create -field=token | credcache put vault ci --ttl 1h
  credcache put aws reader --expires-at 2031-05-01T12:00:00Z --value-file sts.json
  echo \"$TOKEN\" | credcache put oauth billing --ttl 15m --trim-newline --tag prod --if-absent
  issue | credcache put oauth billing --ttl 15m --lease \"$LEASE\"   # see get --lease";

/// Arguments of `put`.
#[derive(clap::Args, Debug)]
pub struct PutArgs {
    /// The namespace: a-z, 0-9, '.', '_' and '-'.
    namespace: String,
    /// The key: up to 1024 bytes of any text.
    key: String,
    #[command(flatten)]
    lifetime: LifetimeArgs,
    /// Read the value from this file instead of stdin.
    #[arg(long, value_name = "PATH")]
    value_file: Option<PathBuf>,
    /// Drop one newline from the end of the value.
    #[arg(long)]
    trim_newline: bool,
    /// A tag by which it can be invalidated; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// The tier to use, instead of the smallest that covers the lifetime.
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    /// Text to keep beside the value; may be repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = parse_attribute)]
    attributes: Vec<(String, String)>,
    /// How long before its end it should be fetched anew.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    refresh_before: Option<Duration>,
    /// When the issuer issued it, in UTC: refused if it was revoked since.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339)]
    issued_at: Option<SystemTime>,
    /// The lease it was fetched under, from `get --lease`: refused if that has
    /// run out, or if it was revoked since.
    #[arg(long, value_name = "TOKEN", value_parser = lease::parse)]
    lease: Option<LeaseToken>,
    #[command(flatten)]
    precondition: PreconditionArgs,
    /// How to print what was stored.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

#[derive(clap::Args, Debug)]
#[group(multiple = false)]
struct PreconditionArgs {
    /// Store only if the key isn't live.
    #[arg(long)]
    if_absent: bool,
    /// Store only in place of this version.
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
}

fn parse_attribute(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("must be NAME=VALUE"),
    }
}

impl PutArgs {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let value = value::read(self.value_file.as_deref(), self.trim_newline)?;
        let client = self.connection.connect().await?;
        let format = self.output;
        let stored = client.put(self.into_put(value)?).await?;
        match format {
            Format::Text => output::print(&describe(&stored))?,
            Format::Json => output::print(&json(&stored).to_string())?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn into_put(self, value: Secret) -> Result<Put, Failure> {
        let lifetime = self.lifetime.into_lifetime()?;
        let mut put = Put::new(self.namespace, self.key, value, lifetime);
        for tag in self.tags {
            put = put.tag(tag);
        }
        for (name, value) in self.attributes {
            put = put.attribute(name, value);
        }
        if let Some(tier) = self.tier {
            put = put.tier(tier);
        }
        if let Some(refresh_before) = self.refresh_before {
            put = put.refresh_before(refresh_before);
        }
        if let Some(issued_at) = self.issued_at {
            put = put.issued_at(issued_at);
        }
        if let Some(token) = self.lease {
            put = put.lease(&Lease::new(token, lease::UNKNOWN_TTL));
        }
        if self.precondition.if_absent {
            put = put.if_absent();
        }
        if let Some(version) = self.precondition.if_version {
            put = put.if_version(version);
        }
        Ok(put)
    }
}

fn describe(stored: &Stored) -> String {
    let Stored {
        version,
        tier,
        expires_at,
        ..
    } = stored;
    format!(
        "stored version {version} in tier {tier} until {}",
        text::rfc3339(*expires_at)
    )
}

fn json(stored: &Stored) -> serde_json::Value {
    json!({
        "version": stored.version,
        "tier": stored.tier,
        "expires_at": text::rfc3339(stored.expires_at),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ClientCommand, parsed};
    use super::*;

    fn put(line: &str) -> Option<PutArgs> {
        match parsed(&format!("credcache put aws reader {line}")).ok()? {
            ClientCommand::Put(args) => Some(args),
            command => panic!("{command:?}"),
        }
    }

    #[test]
    fn at_most_one_precondition_is_allowed() {
        assert!(put("--ttl 1h --if-absent").unwrap().precondition.if_absent);
        assert_eq!(
            put("--ttl 1h --if-version 7")
                .unwrap()
                .precondition
                .if_version,
            Some(7)
        );
        assert!(put("--ttl 1h --if-absent --if-version 7").is_none());
    }

    #[test]
    fn lease_and_time_of_issue_are_read() {
        let args = put("--ttl 1h --lease 00ff --issued-at 2031-05-01T12:00:00Z").unwrap();
        assert_eq!(args.lease.unwrap().expose(), [0, 255]);
        assert!(args.issued_at.is_some());
        assert!(put("--ttl 1h --lease secret").is_none());
        assert!(put("--ttl 1h --issued-at yesterday").is_none());
    }

    #[test]
    fn value_is_never_an_argument() {
        assert!(put("secret --ttl 1h").is_none());
        assert!(put("--ttl 1h --value secret").is_none());
    }

    #[test]
    fn attribute_needs_a_name() {
        let args = put("--ttl 1h --attribute a=b=c --attribute d=").unwrap();
        let expected = [("a".into(), "b=c".into()), ("d".into(), String::new())];
        assert_eq!(args.attributes, expected);
        assert!(put("--ttl 1h --attribute region").is_none());
        assert!(put("--ttl 1h --attribute =x").is_none());
    }
}
