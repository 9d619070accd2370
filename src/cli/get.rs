//! `credcache get`.

use std::{process::ExitCode, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use credcache_client::{Answer, Credential, GetOptions, Lease, Lookup, Miss, MissReason};
use serde_json::json;

use super::{
    connection::ConnectionArgs,
    credential::NameArgs,
    failure::Failure,
    lease,
    output::{self, Format},
    text,
};
use crate::duration;

pub(super) const EXAMPLES: &str = "\
Prints the value alone, byte for byte; on a terminal what could act on it is
escaped. On a miss nothing goes to stdout, the reason goes to stderr, and the exit
code is 1.

With --lease, a miss or a hit that is due to be fetched anew may make it this
caller's turn to fetch: the lease's token goes to stderr, or with --output json,
on a miss too, to stdout. Who has the token can fill the key until somebody else
is granted the lease, which is for some seconds. `credcache fetch` does all of that.

Examples:
  export VAULT_TOKEN=$(credcache get vault ci --min-ttl 60s)
  credcache get aws reader --output json | jq .expires_at
  credcache get vault ci --wait 10s   # for what somebody else is fetching
  credcache get vault ci --lease --output json | jq -r '.lease.token // empty' >lease";

/// Arguments of `get`.
#[derive(clap::Args, Debug)]
pub struct GetArgs {
    #[command(flatten)]
    name: NameArgs,
    /// Miss if less lifetime than this is left.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    min_ttl: Option<Duration>,
    /// Wait this long, 5 minutes at most, for what somebody else is fetching. It
    /// comes on top of --timeout.
    #[arg(long, value_name = "DURATION", value_parser = text::parse_pause)]
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
        let NameArgs { namespace, key } = self.name;
        let answer = client.lookup(namespace, key, options).await?;
        let Answer { lookup, lease, .. } = answer;
        let lease = lease.as_ref();
        let code = match lookup {
            Lookup::Hit(credential) => {
                match self.output {
                    Format::Text => output::print_value(credential.value.expose())?,
                    Format::Json => {
                        output::print_json(&with_lease(json(&credential), lease))?;
                    }
                }
                ExitCode::SUCCESS
            }
            Lookup::Miss(miss) => {
                output::complain(&describe(miss.reason, miss.retry_after));
                if self.output == Format::Json && lease.is_some() {
                    output::print_json(&with_lease(miss_json(miss), lease))?;
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

fn describe(reason: MissReason, retry_after: Option<Duration>) -> String {
    let reason = match (reason, retry_after.map(duration::shown)) {
        (MissReason::Pending, None) => "somebody is fetching the credential; try again".into(),
        (MissReason::Pending, Some(after)) => {
            format!("somebody is fetching the credential; try again in {after}")
        }
        // There is a pause after a fetch that failed. A Put is welcome all the same.
        (reason, Some(after)) => format!(
            "{}; fetching it failed a moment ago, and nobody is granted its lease for {after}",
            state(reason)
        ),
        (reason @ MissReason::NotFound, None) => format!("{}; put it first", state(reason)),
        (reason, None) => format!("{}; put a fresh one", state(reason)),
    };
    format!("miss: {reason}")
}

fn state(reason: MissReason) -> &'static str {
    match reason {
        MissReason::NotFound => "nothing is stored under this key",
        MissReason::Expired => "the credential has expired",
        MissReason::Revoked => "the credential was revoked",
        MissReason::TtlTooShort => "the credential ends before --min-ttl",
        _ => "there is no credential under this key",
    }
}

/// The one place where a token is shown to people: without it, the lease would
/// only keep others waiting.
fn granted(lease: &Lease) -> String {
    format!(
        "it is yours to fetch for {}: put it with --lease {token}, or give that back with \
         `credcache abandon`",
        duration::shown(lease.ttl),
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
        "tags": credential.tags,
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
    fn miss_says_what_is_so_and_what_to_do() {
        let pause = Some(Duration::from_millis(4_500));
        for (reason, retry_after, told) in [
            (
                MissReason::NotFound,
                None,
                "miss: nothing is stored under this key; put it first",
            ),
            (
                MissReason::NotFound,
                pause,
                "miss: nothing is stored under this key; fetching it failed a moment ago, and \
                 nobody is granted its lease for 4s 500ms",
            ),
            (
                MissReason::Expired,
                None,
                "miss: the credential has expired; put a fresh one",
            ),
            (
                MissReason::Revoked,
                pause,
                "miss: the credential was revoked; fetching it failed a moment ago, and nobody \
                 is granted its lease for 4s 500ms",
            ),
            (
                MissReason::Pending,
                pause,
                "miss: somebody is fetching the credential; try again in 4s 500ms",
            ),
            (
                MissReason::Pending,
                None,
                "miss: somebody is fetching the credential; try again",
            ),
        ] {
            assert_eq!(describe(reason, retry_after), told);
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
