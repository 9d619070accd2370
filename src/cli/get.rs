//! `credcache get`.

use std::{process::ExitCode, time::Duration};

use credcache_client::{GetOptions, Lease, Lookup, LookupResponse, Miss, MissReason};
use serde_json::json;

use super::{
    connection::ConnectionArgs,
    credential::{self, NameArgs},
    failure::Failure,
    lease,
    output::{self, Format},
    text,
};
use crate::duration;

pub(super) const EXAMPLES: &str = "\
Prints only the value, byte for byte. On a terminal, characters that could control
the terminal are escaped. On a miss, nothing goes to stdout, the reason goes to
stderr, and the exit code is 1.

With --lease, a miss or a hit that is due for refresh may grant this caller the
key's lease: the lease's token goes to stderr, or with --output json to stdout, also
on a miss. With the token, a caller can fill the key until another caller is granted
the lease. A lease lasts for some seconds. `credcache fetch` does all of this.

Examples:
  export VAULT_TOKEN=$(credcache get vault ci --min-ttl 60s)
  credcache get aws reader --output json | jq .expires_at
  credcache get vault ci --wait 10s   # for another caller's fetch
  credcache get vault ci --lease --output json | jq -r '.lease.token // empty' >lease";

/// Arguments of `get`.
#[derive(clap::Args, Debug)]
pub struct GetArgs {
    #[command(flatten)]
    name: NameArgs,
    /// Miss if less lifetime than this is left.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    min_ttl: Option<Duration>,
    /// Wait this long, 5 minutes at most, for another caller's fetch. The wait comes on top of
    /// --timeout.
    #[arg(long, value_name = "DURATION", value_parser = text::parse_pause)]
    wait: Option<Duration>,
    /// Ask for the key's lease. If the lease is granted, fetch, and put or abandon with its token.
    #[arg(long)]
    lease: bool,
    /// Print only the value, or all fields as JSON (`value`, or `value_base64` if it isn't UTF-8).
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
        let NameArgs { namespace, key } = self.name;
        let response = client.lookup(namespace, key, options).await?;
        let LookupResponse { lookup, lease, .. } = response;
        let lease = lease.as_ref();
        let code = match lookup {
            Lookup::Hit(credential) => {
                match self.output {
                    Format::Text => output::print_value(credential.value.expose())?,
                    Format::Json => {
                        output::print_json(&with_lease(credential::json(&credential), lease))?;
                    }
                }
                ExitCode::SUCCESS
            }
            Lookup::Miss(miss) => {
                output::print_to_stderr(&describe(miss.reason, miss.retry_after));
                if self.output == Format::Json && lease.is_some() {
                    output::print_json(&with_lease(miss_json(miss), lease))?;
                }
                MISS.into()
            }
        };
        if let (Format::Text, Some(lease)) = (self.output, lease) {
            output::print_to_stderr(&granted(lease));
        }
        Ok(code)
    }
}

const MISS: u8 = 1;

fn describe(reason: MissReason, retry_after: Option<Duration>) -> String {
    let reason = match (reason, retry_after.map(duration::format)) {
        (MissReason::Pending, None) => {
            "another caller is fetching the credential; try again".into()
        }
        (MissReason::Pending, Some(after)) => {
            format!("another caller is fetching the credential; try again in {after}")
        }
        // The key is in a cool-down after a failed fetch. A Put is accepted all the same.
        (reason, Some(after)) => format!(
            "{}; the last fetch failed a moment ago, and no lease is granted for {after}",
            state(reason)
        ),
        (reason @ MissReason::NotFound, None) => format!("{}; put it first", state(reason)),
        (reason, None) => format!("{}; put a new one", state(reason)),
    };
    format!("miss: {reason}")
}

fn state(reason: MissReason) -> &'static str {
    match reason {
        MissReason::NotFound => "nothing is stored under this key",
        MissReason::Expired => "the credential has expired",
        MissReason::Revoked => "the credential was revoked",
        MissReason::TtlTooShort => "the credential has less lifetime left than --min-ttl",
        _ => "there is no credential under this key",
    }
}

/// The only place that shows a token to people: without the token, the lease would only keep other
/// callers waiting.
fn granted(lease: &Lease) -> String {
    format!(
        "the lease is granted for {}: fetch the credential and put it with --lease {token}, or \
         give the lease back with `credcache abandon`",
        duration::format(lease.ttl),
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

#[cfg(test)]
mod tests {
    use super::super::{ClientCommand, parsed};
    use super::*;

    #[test]
    fn miss_says_what_is_so_and_what_to_do() {
        let pause = Some(Duration::from_millis(4_500));
        for (reason, retry_after, expected) in [
            (
                MissReason::NotFound,
                None,
                "miss: nothing is stored under this key; put it first",
            ),
            (
                MissReason::NotFound,
                pause,
                "miss: nothing is stored under this key; the last fetch failed a moment ago, and \
                 no lease is granted for 4s 500ms",
            ),
            (
                MissReason::Expired,
                None,
                "miss: the credential has expired; put a new one",
            ),
            (
                MissReason::Revoked,
                pause,
                "miss: the credential was revoked; the last fetch failed a moment ago, and no \
                 lease is granted for 4s 500ms",
            ),
            (
                MissReason::Pending,
                pause,
                "miss: another caller is fetching the credential; try again in 4s 500ms",
            ),
            (
                MissReason::Pending,
                None,
                "miss: another caller is fetching the credential; try again",
            ),
        ] {
            assert_eq!(describe(reason, retry_after), expected);
        }
    }

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
        let NameArgs { namespace, key } = &args.name;
        assert_eq!((&namespace[..], &key[..]), ("aws", "role/reader"));
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
