//! `credcache stats`: prints the counters once, or again and again.

mod json;
mod table;

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use credcache_client::{Client, Stats};
use tokio::time::{self, MissedTickBehavior};

use super::{
    connection::ConnectionArgs,
    failure::Failure,
    interrupts::Interrupts,
    names,
    output::{self, Format},
    text,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  credcache stats
  credcache stats --namespace aws --watch --interval 5s
  credcache stats --output json | jq '.tiers[] | {name, used_bytes}'";

/// Arguments of `stats`.
#[derive(clap::Args, Debug)]
pub struct StatsArgs {
    /// Count only this namespace.
    #[arg(long, value_name = "NAME", value_parser = names::namespace)]
    namespace: Option<String>,
    /// Refresh until a signal, or until stdout has lost its reader.
    #[arg(long)]
    watch: bool,
    /// How often to refresh.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "1s",
        requires = "watch",
        value_parser = text::parse_interval
    )]
    interval: Duration,
    /// A table, or one JSON document per line.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

impl StatsArgs {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let client = self.connection.connect().await?;
        if !self.watch {
            self.print(&self.ask(&client).await?, output::print)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut interrupts = Interrupts::listen()?;
        tokio::select! {
            failed = self.watch(&client) => failed,
            () = output::until_reader_leaves() => Ok(ExitCode::SUCCESS),
            _ = interrupts.next() => Ok(ExitCode::SUCCESS),
        }
    }

    async fn watch(&self, client: &Client) -> Result<ExitCode, Failure> {
        let mut ticks = time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.print(&self.ask(client).await?, output::print_screen)?;
        }
    }

    async fn ask(&self, client: &Client) -> Result<Stats, Failure> {
        Ok(client.stats(self.namespace.as_deref()).await?)
    }

    fn print(
        &self,
        stats: &Stats,
        table: impl Fn(&str) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        match self.output {
            Format::Text => table(&table::render(stats, wall_clock())),
            Format::Json => output::print_json(&json::render(stats)),
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "shows an uptime to a person; no lifetime is judged"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::super::parsed;

    #[test]
    fn interval_goes_with_watch_and_is_never_zero() {
        assert!(parsed("credcache stats --watch --interval 200ms --namespace aws").is_ok());
        assert!(parsed("credcache stats --interval 200ms").is_err());
        assert!(parsed("credcache stats --watch --interval 0s").is_err());
    }
}
