//! `credcache health`.

use std::process::ExitCode;

use credcache_client::Health;

use super::{connection::ConnectionArgs, failure::Failure, output};

/// Arguments of `health`.
#[derive(clap::Args, Debug)]
pub struct HealthArgs {
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

impl HealthArgs {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let health = self.connection.connect().await?.health().await?;
        let (name, code) = verdict(health);
        output::print(name)?;
        Ok(code.into())
    }
}

fn verdict(health: Health) -> (&'static str, u8) {
    match health {
        Health::Serving => ("SERVING", 0),
        Health::NotServing => ("NOT_SERVING", 1),
        _ => ("UNKNOWN", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_serving_server_is_a_success() {
        assert_eq!(verdict(Health::Serving), ("SERVING", 0));
        assert_eq!(verdict(Health::NotServing), ("NOT_SERVING", 1));
        assert_eq!(verdict(Health::Unknown), ("UNKNOWN", 1));
    }
}
