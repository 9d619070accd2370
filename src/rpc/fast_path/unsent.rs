//! A response that waits to be sent: whether its credentials may still be.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use super::{buffer::FRAME_HEAD, method::Method};
use crate::rpc::{
    Service,
    batch::BatchGetRequest,
    proto::{self, batch_get_result, get_response},
};
use credcache_core::{Key, Name, NamespaceName, Now};

/// A response to a Get or BatchGet, of which a part waits for its peer.
pub(crate) struct Unsent<'a> {
    service: &'a Service,
    method: Method,
    request: &'a [u8],
    /// With what comes before a message.
    response: Bytes,
    checked: Option<Checked>,
}

/// What the last check found.
struct Checked {
    /// How many invalidations there had been.
    invalidations: u64,
    now: Now,
    /// How long all credentials were to live from then on.
    remaining: Duration,
}

/// A credential of the response.
struct Sent {
    key: String,
    version: u64,
}

impl Service {
    /// `response`, with what comes before a message, is the response to `request`.
    pub(crate) fn unsent<'a>(
        &'a self,
        method: Method,
        request: &'a [u8],
        response: Bytes,
    ) -> Unsent<'a> {
        Unsent {
            service: self,
            method,
            request,
            response,
            checked: None,
        }
    }
}

impl Unsent<'_> {
    /// Whether every credential of the response is live and not revoked. Costs next to
    /// nothing when nothing was invalidated since the last call.
    pub(crate) fn still_holds(&mut self) -> bool {
        let Service { cache, clock, .. } = self.service;
        let invalidations = cache.invalidations();
        let now = clock.now();
        if self
            .checked
            .as_ref()
            .is_some_and(|checked| checked.covers(invalidations, now))
        {
            return true;
        }
        let remaining = self.remaining();
        self.checked = remaining.map(|remaining| Checked {
            invalidations,
            now,
            remaining,
        });
        self.checked.is_some()
    }

    /// The shortest remaining lifetime of the credentials, if all of them are live.
    fn remaining(&self) -> Option<Duration> {
        let Service { cache, clock, .. } = self.service;
        let (namespace, sent) = self.sent()?;
        let namespace = NamespaceName::parse(&namespace).ok()?;
        sent.iter().try_fold(Duration::MAX, |least, sent| {
            let key = Key::parse(&sent.key).ok()?;
            let name = Name { namespace, key };
            let remaining = cache.remaining(name, sent.version, || clock.now())?;
            Some(least.min(remaining))
        })
    }

    /// The namespace, and the credentials of the response.
    fn sent(&self) -> Option<(String, Vec<Sent>)> {
        let response = self.response.slice(FRAME_HEAD..);
        match self.method {
            Method::Get => {
                let request = proto::GetRequest::decode(self.request).ok()?;
                let response = proto::GetResponse::decode(response).ok()?;
                let sent = match response.outcome? {
                    get_response::Outcome::Credential(credential) => vec![Sent {
                        key: request.key,
                        version: credential.version,
                    }],
                    get_response::Outcome::Miss(_) => Vec::new(),
                };
                Some((request.namespace, sent))
            }
            Method::BatchGet => {
                let request = BatchGetRequest::decode(self.request).ok()?;
                let response = proto::BatchGetResponse::decode(response).ok()?;
                let keys = request.keys.all()?.iter();
                let sent = keys
                    .zip(response.results)
                    .filter_map(|(key, result)| match result.outcome? {
                        batch_get_result::Outcome::Credential(credential) => Some(Sent {
                            key: key.clone(),
                            version: credential.version,
                        }),
                        batch_get_result::Outcome::Miss(_) => None,
                    })
                    .collect();
                Some((request.namespace, sent))
            }
        }
    }
}

impl Checked {
    fn covers(&self, invalidations: u64, now: Now) -> bool {
        let by_wall = now
            .wall
            .since_unix()
            .checked_sub(self.now.wall.since_unix());
        let by_boot = now
            .boot
            .since_boot()
            .checked_sub(self.now.boot.since_boot());
        let is_within = |elapsed: Option<Duration>| elapsed.is_none_or(|it| it < self.remaining);
        self.invalidations == invalidations && is_within(by_wall) && is_within(by_boot)
    }
}
