//! The arguments that several commands take of one credential: its name, and
//! what is stored beside its value.

use std::time::Duration;

use credcache_client::{Fetched, Put};

use super::names;
use crate::duration;

/// The arguments of every command that is about one key.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct NameArgs {
    /// The namespace: a-z, 0-9, '.', '_' and '-'.
    #[arg(value_parser = names::namespace)]
    pub(super) namespace: String,
    /// The key: up to 1024 bytes of any text.
    #[arg(value_parser = names::key)]
    pub(super) key: String,
}

/// The arguments of every command that stores a credential.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct StoreArgs {
    /// A tag by which it can be invalidated; may be repeated.
    #[arg(long = "tag", value_name = "TAG", value_parser = names::tag)]
    pub(super) tags: Vec<String>,
    /// The tier to use, instead of the smallest that covers the lifetime.
    #[arg(long, value_name = "NAME", value_parser = names::tier)]
    tier: Option<String>,
    /// How long before its end it should be fetched anew.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    refresh_before: Option<Duration>,
}

/// What can be stored: both kinds take the same arguments.
pub(super) trait Storable: Sized {
    fn with_tag(self, tag: String) -> Self;
    fn with_tier(self, tier: String) -> Self;
    fn with_refresh_before(self, refresh_before: Duration) -> Self;
}

impl StoreArgs {
    /// The credential with these arguments.
    pub(super) fn apply<S: Storable>(&self, to: S) -> S {
        let mut stored = to;
        for tag in &self.tags {
            stored = stored.with_tag(tag.clone());
        }
        if let Some(tier) = &self.tier {
            stored = stored.with_tier(tier.clone());
        }
        if let Some(refresh_before) = self.refresh_before {
            stored = stored.with_refresh_before(refresh_before);
        }
        stored
    }
}

macro_rules! storable {
    ($($kind:ty),*) => {$(
        impl Storable for $kind {
            fn with_tag(self, tag: String) -> Self {
                self.tag(tag)
            }

            fn with_tier(self, tier: String) -> Self {
                self.tier(tier)
            }

            fn with_refresh_before(self, refresh_before: Duration) -> Self {
                self.refresh_before(refresh_before)
            }
        }
    )*};
}

storable!(Put, Fetched);
