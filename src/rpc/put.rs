//! Put: stores one credential.

use std::{collections::HashMap, time::Duration};

use super::{
    Service,
    credential::tier_name,
    fields::{Fields, MAX_TAGS_GIVEN},
    proto::{self, put_request},
    status::Failure,
    times::{parse_duration, parse_timestamp, timestamp},
};
use credcache_core::{
    Attributes, Cache, Contents, Lifetime, MAX_TAGS, Now, Precondition, Put, Secret, Stored, Tag,
    Tags, TierId, Token,
};

impl Service {
    pub(super) fn serve_put(
        &self,
        request: &proto::PutRequest,
    ) -> Result<proto::PutResponse, Failure> {
        let now = self.clock.now();
        let stored = self.cache.put(parse(request, &self.cache, now)?, now)?;
        Ok(response(&self.cache, stored))
    }
}

fn response(cache: &Cache, stored: Stored) -> proto::PutResponse {
    proto::PutResponse {
        version: stored.version.number(),
        tier: tier_name(cache, stored.tier),
        expires_at: Some(timestamp(stored.expires_at)),
    }
}

fn parse<'a>(request: &'a proto::PutRequest, cache: &Cache, now: Now) -> Result<Put<'a>, Failure> {
    let mut fields = Fields::default();
    let name = fields.name(&request.namespace, &request.key);
    let value = value(&mut fields, &request.value, cache);
    let tags = tags(&mut fields, &request.tags);
    let attributes = attributes(&mut fields, &request.attributes);
    let lifetime = lifetime(&mut fields, request.lifetime.as_ref(), now);
    let refresh_before = fields.optional_duration("refresh_before", request.refresh_before);
    let tier = tier(&mut fields, &request.tier, cache);
    let precondition = precondition(&mut fields, request.precondition.as_ref());
    // A later time would pass every fence until then.
    let issued_at = fields.not_far_ahead("issued_at", request.issued_at, now);
    let lease = lease(&mut fields, &request.lease_token);
    let put = fields.finish(|| {
        Some(Put {
            name: name?,
            contents: Contents {
                value: value?,
                tags: tags?,
                attributes: attributes?,
            },
            lifetime: lifetime?,
            refresh_before: refresh_before?,
            tier: tier?,
            issued_at: issued_at?,
            lease: lease?,
            precondition: precondition?,
        })
    })?;
    if request.single_use {
        return Err(Failure::SingleUse);
    }
    Ok(put)
}

fn value(fields: &mut Fields, value: &[u8], cache: &Cache) -> Option<Secret> {
    match value {
        // A caller that asks for a credential and gets an empty one would go on with it.
        [] => fields.refuse("value", "must not be empty"),
        value => fields.check("value", cache.limits().value(value)),
    }
}

fn tags(fields: &mut Fields, tags: &[String]) -> Option<Tags> {
    if tags.len() > MAX_TAGS_GIVEN {
        return fields.refuse("tags", "must be at most 16");
    }
    let mut parsed = Vec::with_capacity(tags.len());
    let mut wrong = 0;
    for (nth, tag) in tags.iter().enumerate() {
        match Tag::parse(tag) {
            Ok(tag) => parsed.push(tag),
            Err(rule) => {
                // An error has no room for all their names.
                if wrong < MAX_TAGS {
                    fields.refuse::<()>(&format!("tags[{nth}]"), rule);
                }
                wrong += 1;
            }
        }
    }
    fields
        .check("tags", Tags::new(parsed))
        .filter(|_| wrong == 0)
}

fn attributes(fields: &mut Fields, attributes: &HashMap<String, String>) -> Option<Attributes> {
    let pairs = attributes
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    fields.check("attributes", Attributes::new(pairs))
}

fn lifetime(
    fields: &mut Fields,
    lifetime: Option<&put_request::Lifetime>,
    now: Now,
) -> Option<Lifetime> {
    match lifetime {
        None => fields.refuse("lifetime", "is required: ttl or expires_at"),
        Some(put_request::Lifetime::Ttl(ttl)) => match fields.check("ttl", parse_duration(*ttl))? {
            Duration::ZERO => fields.refuse("ttl", "must be above zero"),
            ttl => Some(Lifetime::For(ttl)),
        },
        Some(put_request::Lifetime::ExpiresAt(at)) => {
            match fields.check("expires_at", parse_timestamp(*at))? {
                at if at <= now.wall => fields.refuse("expires_at", "must be in the future"),
                at => Some(Lifetime::Until(at)),
            }
        }
    }
}

fn tier(fields: &mut Fields, name: &str, cache: &Cache) -> Option<Option<TierId>> {
    if name.is_empty() {
        return Some(None);
    }
    match cache.tier(name) {
        Some(tier) => Some(Some(tier)),
        None => {
            let known: Vec<_> = cache.tiers().map(|(_, spec)| spec.name.as_str()).collect();
            fields.refuse("tier", format_args!("must be one of {}", known.join(", ")))
        }
    }
}

fn precondition(
    fields: &mut Fields,
    precondition: Option<&put_request::Precondition>,
) -> Option<Option<Precondition>> {
    match precondition {
        None | Some(put_request::Precondition::IfAbsent(false)) => Some(None),
        Some(put_request::Precondition::IfAbsent(true)) => Some(Some(Precondition::Absent)),
        Some(put_request::Precondition::IfVersion(version)) => fields
            .if_version(*version)
            .map(|version| Some(Precondition::Version(version))),
    }
}

fn lease(fields: &mut Fields, token: &[u8]) -> Option<Option<Token>> {
    match token {
        [] => Some(None),
        token => fields.lease_token(token).map(Some),
    }
}
