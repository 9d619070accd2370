//! Invalidate: revokes one key at once, or more than one in steps.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Service,
    fields::Fields,
    proto::{self, invalidate_request::Target as Wire},
    status::Failure,
};
use crate::pacer::{self, DutyCycle};
use credcache_core::{Invalidate, Invalidated, Invalidation, Key, KeyPrefix, Now, Tag, Target};

/// The most that each invalidation may take of a busy worker: an eighth of the calls' time at
/// first, twice as much after each interval, and at last as much as the calls. An invalidation of
/// 100,000 credentials, a fifth of a second's work, therefore takes about one second. While it runs
/// and other callers put, watchers receive nothing, and near caches would give up after two
/// seconds.
const MAX_DUTY_CYCLE: DutyCycle = DutyCycle { eighths: 8 };
const WIDE_INTERVAL: Duration = Duration::from_millis(250);

impl Service {
    /// Runs to its end once begun, even if the caller goes away.
    pub(super) async fn serve_invalidate(
        &self,
        request: &proto::InvalidateRequest,
    ) -> Result<proto::InvalidateResponse, Failure> {
        let now = self.clock.now();
        let invalidation = parse(request, now)?;
        let invalidated = if invalidation.is_of_one_key() {
            self.cache.invalidate(invalidation, now)
        } else {
            self.invalidate_wide(invalidation).await?
        };
        Ok(proto::InvalidateResponse {
            removed: invalidated.removed,
            revision: invalidated.revision.number(),
        })
    }

    /// Runs an invalidation that may remove a million credentials, in steps between which the
    /// worker serves other calls. A task of its own runs the steps, so that nothing cancels them.
    async fn invalidate_wide(&self, invalidation: Invalidation) -> Result<Invalidated, Failure> {
        let permit = self
            .wide
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Failure::broken("the queue is closed"))?;
        let Self { cache, clock, .. } = self.clone();
        let sweeping = tokio::spawn(async move {
            let _permit = permit;
            let mut sweep = cache.begin_invalidation(invalidation, clock.now());
            pacer::run(Instant::now(), WIDE_INTERVAL, MAX_DUTY_CYCLE, || {
                sweep.step()
            })
            .await
        });
        sweeping
            .await
            .map_err(|_| Failure::broken("an invalidation panicked or was not run"))
    }
}

fn parse(request: &proto::InvalidateRequest, now: Now) -> Result<Invalidation, Failure> {
    let mut fields = Fields::default();
    let namespace = fields.namespace(&request.namespace);
    let target = target(&mut fields, request);
    let issued_before = fields.not_far_ahead("issued_before", request.issued_before, now);
    fields.finish(|| {
        let invalidate = Invalidate {
            namespace: namespace?,
            target: target?,
            issued_before: issued_before?,
        };
        Some(invalidate.into())
    })
}

fn target<'a>(fields: &mut Fields, request: &'a proto::InvalidateRequest) -> Option<Target<'a>> {
    let if_version = match request.if_version {
        None => Some(None),
        Some(_) if !matches!(request.target, Some(Wire::Key(_))) => {
            fields.refuse("if_version", "is allowed only with key")
        }
        Some(version) => fields.if_version(version).map(Some),
    };
    let target = match &request.target {
        None => fields.refuse("target", "is required: key, key_prefix, tag or all"),
        Some(Wire::Key(key)) => fields.check("key", Key::parse(key)).map(|key| Target::Key {
            key,
            if_version: if_version.flatten(),
        }),
        Some(Wire::KeyPrefix(prefix)) => fields
            .check("key_prefix", KeyPrefix::parse(prefix))
            .map(Target::Prefix),
        Some(Wire::Tag(tag)) => fields.check("tag", Tag::parse(tag)).map(Target::Tag),
        Some(Wire::All(true)) => Some(Target::All),
        Some(Wire::All(false)) => fields.refuse("all", "must be true"),
    };
    if_version.and(target)
}
