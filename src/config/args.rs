//! The flags of the commands that read the configuration, as they are typed.
//!
//! Values stay text here, so that a wrong one is reported together with what
//! is wrong in the file and in the environment.

use std::path::PathBuf;

use clap::Args;

/// Flags of `credcache serve`.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    /// Read settings from this TOML file [env: CREDCACHE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Listen here: host:port (port 0 = any) or unix:PATH; may be repeated
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<String>,

    /// Allow plaintext on an address that other hosts can reach
    #[arg(long)]
    pub insecure: bool,

    /// Let those of this mode connect to the Unix sockets, such as 0660
    #[arg(long, value_name = "MODE")]
    pub unix_mode: Option<String>,

    /// Give the Unix sockets to this group, by name or number
    #[arg(long, value_name = "GROUP")]
    pub unix_group: Option<String>,

    /// Let in-flight calls finish for this long on SIGTERM, such as 10s
    #[arg(long, value_name = "DURATION")]
    pub drain_timeout: Option<String>,

    /// Log as text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,

    /// Log from this level on, such as info, or info,h2=debug for a library too
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// Flags of `credcache check-config`.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckConfigArgs {
    /// Check this TOML file [env: CREDCACHE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
