//! The fields of requests, each parsed by its rule. The broken rules are collected, so that an
//! error names every wrong field.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use super::{
    status::{Failure, Violation},
    times::{parse_duration, parse_timestamp},
};
use credcache_core::{
    Key, MAX_CLOCK_AHEAD, MAX_TAGS, Name, NamespaceName, Now, Revision, Token, WallTime,
};

/// The most tags of a request, with repetitions, which change nothing.
pub(super) const MAX_TAGS_GIVEN: usize = 4 * MAX_TAGS;

/// The allowed lifetimes of a lease.
const LEASE_TTLS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);

/// The rules that were broken so far. Each parser returns `None` if it noted a broken rule.
#[derive(Default)]
pub(super) struct Fields(Vec<Violation>);

impl Fields {
    /// Returns the whole request once each field was parsed. `request` builds it, and returns
    /// `None` if a field is missing.
    ///
    /// # Errors
    /// Every broken rule.
    pub(super) fn finish<T>(self, request: impl FnOnce() -> Option<T>) -> Result<T, Failure> {
        request().ok_or(Failure::Invalid(self.0))
    }

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

    pub(super) fn namespace<'a>(&mut self, namespace: &'a str) -> Option<NamespaceName<'a>> {
        self.check("namespace", NamespaceName::parse(namespace))
    }

    pub(super) fn name<'a>(&mut self, namespace: &'a str, key: &'a str) -> Option<Name<'a>> {
        let namespace = self.namespace(namespace);
        let key = self.check("key", Key::parse(key));
        Some(Name {
            namespace: namespace?,
            key: key?,
        })
    }

    pub(super) fn optional_duration(
        &mut self,
        field: &str,
        value: Option<prost_types::Duration>,
    ) -> Option<Option<Duration>> {
        self.optional(field, value, parse_duration)
    }

    /// Parses a time that is at most [`MAX_CLOCK_AHEAD`] ahead.
    pub(super) fn not_far_ahead(
        &mut self,
        field: &str,
        value: Option<prost_types::Timestamp>,
        now: Now,
    ) -> Option<Option<WallTime>> {
        match self.optional(field, value, parse_timestamp)? {
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
        self.optional("lease_ttl", value, parse_lease_ttl)
    }

    pub(super) fn lease_token(&mut self, token: &[u8]) -> Option<Token> {
        match token.try_into() {
            Ok(bits) => Some(Token::from_bytes(bits)),
            Err(_) => self.refuse("lease_token", "must be the 16 bytes of a lease's token"),
        }
    }

    pub(super) fn if_version(&mut self, version: u64) -> Option<Revision> {
        Revision::from_wire(version).or_else(|| self.refuse("if_version", "must be above zero"))
    }

    pub(super) fn optional<W, T>(
        &mut self,
        field: &str,
        value: Option<W>,
        parse: impl FnOnce(W) -> Result<T, &'static str>,
    ) -> Option<Option<T>> {
        match value {
            None => Some(None),
            Some(value) => self.check(field, parse(value)).map(Some),
        }
    }
}

/// # Errors
/// The rule that the duration breaks.
pub(super) fn parse_lease_ttl(value: prost_types::Duration) -> Result<Duration, &'static str> {
    let ttl = parse_duration(value)?;
    let is_allowed = LEASE_TTLS.contains(&ttl);
    is_allowed
        .then_some(ttl)
        .ok_or("must be 1 second to 5 minutes")
}
