//! `credcache get`.

use std::{process::ExitCode, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use credcache_client::{Credential, GetOptions, Lookup, Miss, MissReason};
use serde_json::json;

use super::{
    connection::ConnectionArgs,
    failure::Failure,
    output::{self, Format},
    text,
};

pub(super) const EXAMPLES: &str = "\
Prints the value alone, byte for byte. On a miss nothing goes to stdout, the
reason goes to stderr, and the exit code is 1.

Examples:
  export VAULT_TOKEN=$(credcache get vault ci --min-ttl 60s)
  credcache get aws reader --output json | jq .expires_at";

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
        let options = self.min_ttl.map_or_else(GetOptions::default, |min_ttl| {
            GetOptions::default().min_ttl(min_ttl)
        });
        match client.get_with(self.namespace, self.key, options).await? {
            Lookup::Hit(credential) => {
                match self.output {
                    Format::Text => output::print_value(credential.value.expose())?,
                    Format::Json => output::print(&json(&credential).to_string())?,
                }
                Ok(ExitCode::SUCCESS)
            }
            Lookup::Miss(miss) => {
                output::complain(&describe(miss));
                Ok(MISS.into())
            }
        }
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
