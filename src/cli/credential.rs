//! One credential on the command line: its name, the fields that are stored beside its value, and
//! how it is printed.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use credcache_client::{Credential, Fetched, Put};
use serde_json::json;

use super::{names, text};
use crate::duration;

/// The arguments of every command that names one key.
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
    /// A tag by which the credential can be invalidated; may be repeated.
    #[arg(long = "tag", value_name = "TAG", value_parser = names::tag)]
    pub(super) tags: Vec<String>,
    /// The tier to use, instead of the smallest tier that covers the lifetime.
    #[arg(long, value_name = "NAME", value_parser = names::tier)]
    tier: Option<String>,
    /// How long before its end the credential becomes due for refresh.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    refresh_before: Option<Duration>,
}

/// A credential to be stored. Both kinds take the same arguments.
pub(super) trait Storable: Sized {
    fn with_tag(self, tag: String) -> Self;
    fn with_tier(self, tier: String) -> Self;
    fn with_refresh_before(self, refresh_before: Duration) -> Self;
}

impl StoreArgs {
    /// Adds these arguments to a credential.
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

/// All fields of a credential. The value is `value_base64` if it isn't UTF-8.
pub(super) fn json(credential: &Credential) -> serde_json::Value {
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
