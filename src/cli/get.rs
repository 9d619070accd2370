//! `credcache get`.

use std::{process::ExitCode, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use credcache_client::{Answer, Credential, GetOptions, Lease, Lookup, Miss, MissReason};
use serde_json::json;

use super::{
    connection::ConnectionArgs,
    failure::Failure,
    lease,
    output::{self, Format},
    text,
};

pub(super) const EXAMPLES: &str = "\
Prints the value alone, byte for byte. On a miss nothing goes to stdout, the
reason goes to stderr, and the exit code is 1.

With --lease, a miss or a hit that is due to be fetched anew may make it this
caller's turn to fetch: the lease's token goes to stderr, or with --output json,
on a miss too, to stdout. Who has the token can fill the key until the lease
runs out, some seconds later. `credcache fetch` does all of that.

Examples:
  export VAULT_TOKEN=$(credcache get vault ci --min-ttl 60s)
  credcache get aws reader --output json | jq .expires_at
  credcache get vault ci --wait 10s   # for what somebody else is fetching
  LEASE=$(credcache get vault ci --lease --output json | jq -r '.lease.token // empty')";

/// Arguments of `get`.
#[derive(clap::Args, Debug)]
pub struct GetArgs {
    /// The namespace.
    namespace: String,
    /// The key.
    key: String,
    /// Miss if less lifetime than this is left.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    min_ttl: Option<Duration>,
    /// Wait this long, 5 minutes at most, for what somebody else is fetching. It
    /// comes on top of --timeout.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
    /// Ask for the key's lease: if it is granted, fetch, and put or abandon
    /// with it.
    #[arg(long)]
    lease: bool,
    /// Print the value alone, or all fields as JSON (`value`, or `value_base64`
    /// if it isn't UTF-8).
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

impl GetArgs {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let client = self.connection.connect().await?;
        let mut options = GetOptions::default().acquire_lease(self.lease);
        if let Some(min_ttl) = self.min_ttl {
            options = options.min_ttl(min_ttl);
        }
        if let Some(wait) = self.wait {
            options = options.wait(wait);
        }
        let answer = client.lookup(self.namespace, self.key, options).await?;
        let Answer { lookup, lease, .. } = answer;
        let lease = lease.as_ref();
        let code = match lookup {
            Lookup::Hit(credential) => {
                match self.output {
                    Format::Text => output::print_value(credential.value.expose())?,
                    Format::Json => {
                        output::print(&with_lease(json(&credential), lease).to_string())?;
                    }
                }
                ExitCode::SUCCESS
            }
            Lookup::Miss(miss) => {
                output::complain(&describe(miss));
                if self.output == Format::Json && lease.is_some() {
                    output::print(&with_lease(miss_json(miss), lease).to_string())?;
                }
                MISS.into()
            }
        };
        if let (Format::Text, Some(lease)) = (self.output, lease) {
            output::complain(&granted(lease));
        }
        Ok(code)
    }
}

const MISS: u8 = 1;

fn describe(miss: Miss) -> String {
    let reason = match miss.reason {
        MissReason::NotFound => "nothing is stored under this key; put it first",
        MissReason::Expired => "the credential has expired; put a fresh one",
        MissReason::Revoked => "the credential was revoked; put a fresh one",
        MissReason::TtlTooShort => "the credential ends before --min-ttl; put a fresh one",
        MissReason::Pending => "somebody is fetching the credential; try again",
        _ => "there is no credential under this key; put one",
    };
    match miss.retry_after {
        Some(after) => format!("miss: {reason} in {}", humantime::format_duration(after)),
        None => format!("miss: {reason}"),
    }
}

/// The one place where a token is shown to people: without it, the lease would
/// only keep others waiting.
fn granted(lease: &Lease) -> String {
    format!(
        "it is yours to fetch for {}: put it with --lease {token}, \
         or give that back with `credcache abandon`",
        humantime::format_duration(lease.ttl),
        token = lease::hex(&lease.token),
    )
}

fn with_lease(mut json: serde_json::Value, lease: Option<&Lease>) -> serde_json::Value {
    if let Some(lease) = lease {
        json["lease"] = json!({
            "token": lease::hex(&lease.token),
            "ttl_seconds": lease.ttl.as_secs_f64(),
        });
    }
    json
}

fn miss_json(miss: Miss) -> serde_json::Value {
    let reason = match miss.reason {
        MissReason::NotFound => "NOT_FOUND",
        MissReason::Expired => "EXPIRED",
        MissReason::Revoked => "REVOKED",
        MissReason::TtlTooShort => "TTL_TOO_SHORT",
        MissReason::Pending => "PENDING",
        _ => "OTHER",
    };
    json!({ "miss": { "reason": reason } })
}

fn json(credential: &Credential) -> serde_json::Value {
    let value = credential.value.expose();
    let mut json = json!({
        "expires_at": text::rfc3339(credential.expires_at),
        "ttl_seconds": credential.remaining().as_secs_f64(),
        "refresh_at": text::rfc3339(credential.refresh_at),
        "version": credential.version,
        "tier": credential.tier,
        "attributes": credential.attributes,
    });
    match str::from_utf8(value) {
        Ok(text) => json["value"] = text.into(),
        Err(_) => json["value_base64"] = BASE64_STANDARD.encode(value).into(),
    }
    json
}

#[cfg(test)]
mod tests {
    use super::super::{ClientCommand, parsed};
    use super::*;

    #[test]
    fn wait_and_lease_are_asked_for() {
        let line = "credcache get aws reader --wait 10s --lease";
        let ClientCommand::Get(args) = parsed(line).unwrap() else {
            panic!("not a get")
        };
        assert_eq!(args.wait, Some(Duration::from_secs(10)));
        assert!(args.lease);
        assert!(parsed("credcache get aws reader --wait soon").is_err());
    }

    #[test]
    fn minimum_lifetime_and_format_are_read() {
        let line = "credcache get aws role/reader --min-ttl 60s --output json";
        let ClientCommand::Get(args) = parsed(line).unwrap() else {
            panic!("not a get")
        };
        assert_eq!((&args.namespace[..], &args.key[..]), ("aws", "role/reader"));
        assert_eq!(args.min_ttl, Some(Duration::from_secs(60)));
        assert_eq!(args.output, Format::Json);

        for wrong in [
            "get aws",
            "get aws k --min-ttl soon",
            "get aws k --output xml",
        ] {
            assert!(parsed(&format!("credcache {wrong}")).is_err(), "{wrong}");
        }
    }
}
