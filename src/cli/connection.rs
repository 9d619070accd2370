//! The server that a command calls, and the timeout.

use std::time::Duration;

use credcache_client::{Address, Client, ClientBuilder, Error};

use super::text;

/// The arguments that every command to a server takes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct ConnectionArgs {
    /// The server: HOST:PORT, http://HOST:PORT or unix:PATH.
    // Elsewhere, only config.rs reads the environment. config.rs contains the server's
    // configuration; for a client command, clap reads this variable and shows it in --help.
    #[arg(
        long,
        value_name = "ADDR",
        env = "CREDCACHE_SERVER",
        default_value = "127.0.0.1:50051"
    )]
    pub(super) server: Address,
    /// How long the command may wait for the server.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = text::parse_interval)]
    pub(super) timeout: Duration,
}

impl ConnectionArgs {
    pub(super) async fn connect(&self) -> Result<Client, Error> {
        self.builder().connect(&self.server).await
    }

    /// Connects on the first call, for a command that can do without the server.
    pub(super) fn connect_lazy(&self) -> Result<Client, Error> {
        self.builder().connect_lazy(&self.server)
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .connections(1)
            .connect_timeout(self.timeout)
            .timeout(self.timeout)
    }
}
