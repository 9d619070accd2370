//! The fields of requests, each parsed by its rule, and what breaks one
//! collected, so that a refusal names all of it.

use std::{collections::HashMap, fmt::Display, ops::RangeInclusive, time::Duration};

use super::{
    failure::{Failure, Violation},
    proto::{self, invalidate_request, put_request},
};
use credcache_core::{
    Attributes, Cache, Contents, Key, KeyPrefix, Lifetime, MAX_CLOCK_AHEAD, MAX_TAGS, Name,
    NamespaceName, Now, Precondition, Revision, Secret, Tag, Tags, Target, TierId, Token, WallTime,
};

/// The seconds a Timestamp may hold: the years 1 to 9999.
const TIMESTAMP_SECONDS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// The most seconds a Duration may hold: ten thousand years.
const DURATION_SECONDS: i64 = 315_576_000_000;
/// How long a lease may be asked to last.
const LEASE_TTLS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);

/// Collects what breaks a rule. Each method answers `None` where it noted
/// something.
#[derive(Default)]
pub(super) struct Fields(Vec<Violation>);

impl From<Fields> for Failure {
    fn from(fields: Fields) -> Self {
        Self::Invalid(fields.0)
    }
}

impl Fields {
    pub(super) fn refuse<T>(&mut self, field: &str, rule: impl Display) -> Option<T> {
        self.0.push(Violation {
            field: field.into(),
            rule: rule.to_string(),
        });
        None
    }

    pub(super) fn check<T, E: Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        match parsed {
            Ok(parsed) => Some(parsed),
            Err(rule) => self.refuse(field, rule),
        }
    }

    pub(super) fn name<'a>(&mut self, namespace: &'a str, key: &'a str) -> Option<Name<'a>> {
        let namespace = self.check("namespace", NamespaceName::parse(namespace));
        let key = self.check("key", Key::parse(key));
        Some(Name {
            namespace: namespace?,
            key: key?,
        })
    }

    pub(super) fn contents(
        &mut self,
        request: &proto::PutRequest,
        cache: &Cache,
    ) -> Option<Contents> {
        let value: Option<Secret> = match &request.value[..] {
            // What asks for a credential and gets nothing would go on with that.
            [] => self.refuse("value", "must not be empty"),
            value => self.check("value", cache.limits().value(value)),
        };
        let tags = self.tags(&request.tags);
        let attributes = self.attributes(&request.attributes);
        Some(Contents {
            value: value?,
            tags: tags?,
            attributes: attributes?,
        })
    }

    fn tags(&mut self, tags: &[String]) -> Option<Tags> {
        let mut parsed = Vec::with_capacity(tags.len());
        let mut wrong = 0;
        for (nth, tag) in tags.iter().enumerate() {
            match Tag::parse(tag) {
                Ok(tag) => parsed.push(tag),
                Err(rule) => {
                    // A message has room for millions of empty tags, an answer
                    // has none for all their names.
                    if wrong < MAX_TAGS {
                        self.refuse::<()>(&format!("tags[{nth}]"), rule);
                    }
                    wrong += 1;
                }
            }
        }
        self.check("tags", Tags::new(parsed)).filter(|_| wrong == 0)
    }

    fn attributes(&mut self, attributes: &HashMap<String, String>) -> Option<Attributes> {
        let pairs = attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        self.check("attributes", Attributes::new(pairs))
    }

    pub(super) fn lifetime(
        &mut self,
        lifetime: Option<&put_request::Lifetime>,
        now: Now,
    ) -> Option<Lifetime> {
        match lifetime {
            None => self.refuse("lifetime", "is required: ttl or expires_at"),
            Some(put_request::Lifetime::Ttl(ttl)) => match self.check("ttl", duration(*ttl))? {
                Duration::ZERO => self.refuse("ttl", "must be above zero"),
                ttl => Some(Lifetime::For(ttl)),
            },
            Some(put_request::Lifetime::ExpiresAt(at)) => {
                match self.check("expires_at", timestamp(*at))? {
                    at if at <= now.wall => self.refuse("expires_at", "must lie in the future"),
                    at => Some(Lifetime::Until(at)),
                }
            }
        }
    }

    pub(super) fn optional_duration(
        &mut self,
        field: &str,
        value: Option<prost_types::Duration>,
    ) -> Option<Option<Duration>> {
        match value {
            None => Some(None),
            Some(value) => self.check(field, duration(value)).map(Some),
        }
    }

    pub(super) fn optional_timestamp(
        &mut self,
        field: &str,
        value: Option<prost_types::Timestamp>,
    ) -> Option<Option<WallTime>> {
        match value {
            None => Some(None),
            Some(value) => self.check(field, timestamp(value)).map(Some),
        }
    }

    pub(super) fn issued_before(
        &mut self,
        value: Option<prost_types::Timestamp>,
        now: Now,
    ) -> Option<Option<WallTime>> {
        self.not_far_ahead("issued_before", value, now)
    }

    /// One that is further ahead would clear every fence there will be until
    /// then.
    pub(super) fn issued_at(
        &mut self,
        value: Option<prost_types::Timestamp>,
        now: Now,
    ) -> Option<Option<WallTime>> {
        self.not_far_ahead("issued_at", value, now)
    }

    fn not_far_ahead(
        &mut self,
        field: &'static str,
        value: Option<prost_types::Timestamp>,
        now: Now,
    ) -> Option<Option<WallTime>> {
        match self.optional_timestamp(field, value)? {
            Some(at) if at.since_unix() > now.wall.since_unix() + MAX_CLOCK_AHEAD => {
                self.refuse(field, "must be at most 5 minutes ahead")
            }
            at => Some(at),
        }
    }

    pub(super) fn lease_ttl(
        &mut self,
        value: Option<prost_types::Duration>,
    ) -> Option<Option<Duration>> {
        value.map_or(Some(None), |value| {
            self.check("lease_ttl", lease_ttl(value)).map(Some)
        })
    }

    pub(super) fn token(&mut self, field: &str, token: &[u8]) -> Option<Token> {
        match token.try_into() {
            Ok(bits) => Some(Token::from_bytes(bits)),
            Err(_) => self.refuse(field, "must be the 16 bytes of a lease's token"),
        }
    }

    pub(super) fn optional_token(&mut self, token: &[u8]) -> Option<Option<Token>> {
        match token {
            [] => Some(None),
            token => self.token("lease_token", token).map(Some),
        }
    }

    pub(super) fn tier(&mut self, name: &str, cache: &Cache) -> Option<Option<TierId>> {
        if name.is_empty() {
            return Some(None);
        }
        match cache.tier(name) {
            Some(tier) => Some(Some(tier)),
            None => {
                let known: Vec<_> = cache.tiers().map(|(_, spec)| spec.name.as_str()).collect();
                self.refuse("tier", format_args!("must be one of {}", known.join(", ")))
            }
        }
    }

    pub(super) fn precondition(
        &mut self,
        precondition: Option<&put_request::Precondition>,
    ) -> Option<Option<Precondition>> {
        match precondition {
            None | Some(put_request::Precondition::IfAbsent(false)) => Some(None),
            Some(put_request::Precondition::IfAbsent(true)) => Some(Some(Precondition::Absent)),
            Some(put_request::Precondition::IfVersion(version)) => self
                .version(*version)
                .map(|version| Some(Precondition::Version(version))),
        }
    }

    fn version(&mut self, version: u64) -> Option<Revision> {
        Revision::from_wire(version).or_else(|| self.refuse("if_version", "must be above zero"))
    }

    pub(super) fn target<'a>(
        &mut self,
        request: &'a proto::InvalidateRequest,
    ) -> Option<Target<'a>> {
        use invalidate_request::Target as Wire;
        let if_version = match request.if_version {
            None => Some(None),
            Some(_) if !matches!(request.target, Some(Wire::Key(_))) => {
                self.refuse("if_version", "goes with key only")
            }
            Some(version) => self.version(version).map(Some),
        };
        let target = match &request.target {
            None => self.refuse("target", "is required: key, key_prefix, tag or all"),
            Some(Wire::Key(key)) => self.check("key", Key::parse(key)).map(|key| Target::Key {
                key,
                if_version: if_version.flatten(),
            }),
            Some(Wire::KeyPrefix(prefix)) => self
                .check("key_prefix", KeyPrefix::parse(prefix))
                .map(Target::Prefix),
            Some(Wire::Tag(tag)) => self.check("tag", Tag::parse(tag)).map(Target::Tag),
            Some(Wire::All(true)) => Some(Target::All),
            Some(Wire::All(false)) => self.refuse("all", "must be true"),
        };
        if_version.and(target)
    }
}

pub(super) fn duration(duration: prost_types::Duration) -> Result<Duration, &'static str> {
    let prost_types::Duration { seconds, nanos } = duration;
    if seconds < 0 || nanos < 0 {
        return Err("must not be negative");
    }
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(secs), Ok(nanos)) if seconds <= DURATION_SECONDS && nanos < 1_000_000_000 => {
            Ok(Duration::new(secs, nanos))
        }
        _ => Err("is no valid duration"),
    }
}

pub(super) fn lease_ttl(value: prost_types::Duration) -> Result<Duration, &'static str> {
    let ttl = duration(value)?;
    let is_allowed = LEASE_TTLS.contains(&ttl);
    is_allowed
        .then_some(ttl)
        .ok_or("must be 1 second to 5 minutes")
}

/// Instants before 1970 become 1970: past all the same.
fn timestamp(timestamp: prost_types::Timestamp) -> Result<WallTime, &'static str> {
    let prost_types::Timestamp { seconds, nanos } = timestamp;
    match u32::try_from(nanos) {
        Ok(nanos) if nanos < 1_000_000_000 && TIMESTAMP_SECONDS.contains(&seconds) => {
            let since_epoch = u64::try_from(seconds).map(|secs| Duration::new(secs, nanos));
            Ok(WallTime::from_unix(since_epoch.unwrap_or_default()))
        }
        _ => Err("is no valid timestamp"),
    }
}
