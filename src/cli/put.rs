//! `credcache put`.

use std::{path::PathBuf, process::ExitCode, time::SystemTime};

use credcache_client::{Lease, LeaseToken, Lifetime, Put, Secret, Stored};
use serde_json::json;

use super::{
    connection::ConnectionArgs,
    credential::{NameArgs, StoreArgs},
    escape,
    failure::Failure,
    lease::{self, LeaseArgs},
    lifetime::{self, LifetimeArgs},
    names,
    output::{self, Format},
    text, value,
};

pub(super) const EXAMPLES: &str = "\
The value is stored byte for byte; a newline at its end is kept unless
--trim-newline is given. An empty value is refused.

A value that was fetched under a lease is refused if another caller was granted the
key's lease since, or if the credential was revoked since: don't use the value then.

Examples:
  vault token create -field=token | credcache put vault ci --ttl 1h
  credcache put aws reader --expires-at 2031-05-01T12:00:00Z --value-file sts.json
  echo \"$TOKEN\" | credcache put oauth billing --ttl 15m --trim-newline --tag prod --if-absent
  issue | credcache put oauth billing --ttl 15m --lease-file lease   # see get --lease";

/// Arguments of `put`.
#[derive(clap::Args, Debug)]
pub struct PutArgs {
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    lifetime: LifetimeArgs,
    /// Read the value from this file instead of stdin.
    #[arg(long, value_name = "PATH")]
    value_file: Option<PathBuf>,
    /// Drop one newline from the end of the value.
    #[arg(long)]
    trim_newline: bool,
    #[command(flatten)]
    store: StoreArgs,
    /// Text to keep beside the value; may be repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = names::attribute)]
    attributes: Vec<(String, String)>,
    /// When the issuer issued the credential, by RFC 3339; the put is refused if the credential was
    /// revoked since.
    #[arg(long, value_name = "TIME", value_parser = text::parse_time)]
    issued_at: Option<SystemTime>,
    #[command(flatten)]
    lease: LeaseArgs,
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
    /// Store only if the key has no live credential.
    #[arg(long)]
    if_absent: bool,
    /// Store only in place of this version.
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    if_version: Option<u64>,
}

impl PutArgs {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        names::check_labels(&self.store.tags, &self.attributes)?;
        let requested = self.lifetime.lifetime()?;
        let lease = self.lease.read(self.value_file.is_some())?;
        let value = value::read(self.value_file.as_deref(), self.trim_newline)?;
        let client = self.connection.connect().await?;
        let format = self.output;
        let stored = client.put(self.into_put(value, requested, lease)).await?;
        match format {
            Format::Text => output::print(&describe(&stored))?,
            Format::Json => output::print_json(&json(&stored))?,
        }
        let Stored {
            tier, expires_at, ..
        } = &stored;
        if let Some(note) = lifetime::shortening_note(&client, requested, tier, *expires_at).await {
            output::print_to_stderr(&note);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn into_put(self, value: Secret, lifetime: Lifetime, lease: Option<LeaseToken>) -> Put {
        let NameArgs { namespace, key } = self.name;
        let mut put = self.store.apply(Put::new(namespace, key, value, lifetime));
        for (name, value) in self.attributes {
            put = put.attribute(name, value);
        }
        if let Some(issued_at) = self.issued_at {
            put = put.issued_at(issued_at);
        }
        if let Some(token) = lease {
            put = put.lease(&Lease::new(token, lease::UNKNOWN_TTL));
        }
        if self.precondition.if_absent {
            put = put.if_absent();
        }
        if let Some(version) = self.precondition.if_version {
            put = put.if_version(version);
        }
        put
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
        "stored version {version} in tier {} until {}",
        escape::line(tier),
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
        let args = put("--ttl 1h --lease 00ff --issued-at 2031-05-01T14:00:00+02:00").unwrap();
        let lease = args.lease.read(false).unwrap();
        assert_eq!(lease.unwrap().expose(), [0, 255]);
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
        assert!(put("--ttl 1h --tier= ").is_none());
        assert!(put("--ttl 1h --if-version 0").is_none());
        assert!(put("--ttl 1h --attribute =x").is_none());
    }
}
