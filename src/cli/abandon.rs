//! `credcache abandon`.

use std::{process::ExitCode, time::Duration};

use credcache_client::Lease;

use super::{
    connection::ConnectionArgs,
    credential::NameArgs,
    failure::Failure,
    lease::{self, LeaseArgs},
    text,
};

pub(super) const EXAMPLES: &str = "\
Callers that wait for the key are notified at once, and don't wait for the lease's
end. Without --retry-after, one of them gets the lease.

Examples:
  credcache abandon oauth billing --lease-file lease
  credcache abandon oauth billing --lease-file lease --retry-after 30s   # the issuer is down";

/// Arguments of `abandon`.
#[derive(clap::Args, Debug)]
pub struct AbandonArgs {
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    lease: LeaseArgs,
    /// Start a cool-down of this length, 5 minutes at most, in which no caller is granted a lease
    /// for the key: the issuer is failing.
    #[arg(long, value_name = "DURATION", value_parser = text::parse_pause)]
    retry_after: Option<Duration>,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

impl AbandonArgs {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let stdin_is_free = true;
        let token = self
            .lease
            .read(stdin_is_free)?
            .ok_or_else(|| Failure::Usage("give the lease with --lease-file or --lease".into()))?;
        let client = self.connection.connect().await?;
        let lease = Lease::new(token, lease::UNKNOWN_TTL);
        client
            .abandon_lease(self.name.namespace, self.name.key, &lease, self.retry_after)
            .await?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClientCommand, parsed};
    use super::*;

    #[test]
    fn lease_is_required_and_a_pause_may_be_asked_for() {
        let line = "credcache abandon aws reader --lease 00ff --retry-after 30s";
        let ClientCommand::Abandon(args) = parsed(line).unwrap() else {
            panic!("not an abandon")
        };
        let token = args.lease.read(true).unwrap();
        assert_eq!(token.unwrap().expose(), [0, 255]);
        assert_eq!(args.retry_after, Some(Duration::from_secs(30)));
        for wrong in [
            "abandon aws reader --lease 00ff --lease-file lease",
            "abandon aws reader --lease 00ff --retry-after 6m",
            "abandon aws --lease 00ff",
            "abandon aws reader --lease 0x",
        ] {
            assert!(parsed(&format!("credcache {wrong}")).is_err(), "{wrong}");
        }
    }
}
