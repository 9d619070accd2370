//! The short way through a Get or BatchGet: from the request's bytes to the
//! response's, with no message in between.
//!
//! Guarantees that what it answers is the message that the generated path would
//! have answered, and that it leaves everything else, each error among it, to
//! that path, untouched and uncounted.

mod buffer;
mod encode;
mod read;
#[cfg(test)]
mod tests;
mod write;

use super::{Service, proto::credential_cache_service_server::SERVICE_NAME};
use credcache_core::{BatchGet, Lookup, Verdict};
use write::BatchResponse;

/// The heads of fields on the wire: number and wire type in one byte.
const fn length_delimited(number: u8) -> u8 {
    number << 3 | 2
}

const fn varint(number: u8) -> u8 {
    number << 3
}

/// A method that has a short way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    BatchGet,
}

impl Method {
    /// The method at this path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path.strip_prefix('/')?.strip_prefix(SERVICE_NAME)? {
            "/Get" => Some(Self::Get),
            "/BatchGet" => Some(Self::BatchGet),
            _ => None,
        }
    }
}

impl Service {
    /// The framed response to a request's message, if it can be had at once and
    /// isn't an error.
    pub(crate) fn answer(&self, method: Method, message: &[u8]) -> Option<Vec<u8>> {
        match method {
            Method::Get => self.answer_get(message),
            Method::BatchGet => self.answer_batch_get(message),
        }
    }

    fn answer_get(&self, message: &[u8]) -> Option<Vec<u8>> {
        let get = read::get(message)?;
        let now = || self.clock.now();
        if get.acquire_lease || !get.wait.is_zero() {
            // Where there is no hit, there is more to do than to look.
            let hit = self
                .cache
                .hit(get.name, get.min_ttl, get.acquire_lease, now)?;
            return Some(write::get(&self.cache, &Lookup::Hit(hit)));
        }
        let lookup = self.cache.get(get.name, get.min_ttl, now);
        Some(write::get(&self.cache, &lookup))
    }

    fn answer_batch_get(&self, message: &[u8]) -> Option<Vec<u8>> {
        let batch = read::batch_get(message)?;
        let now = || self.clock.now();
        // A second time if something ended before it could be judged: it is known
        // then to have.
        let mut earlier = None;
        for _ in 0..2 {
            let sought = BatchGet {
                namespace: batch.namespace,
                keys: &batch.keys,
                min_ttl: batch.min_ttl,
                earlier,
            };
            let mut response = BatchResponse::new(&self.cache, batch.keys.len());
            let reading = self.cache.batch_get(sought, now, &mut response)?;
            let now = now();
            match reading.judge(now, |left| response.tell(left)) {
                Verdict::Valid => return Some(response.framed()),
                Verdict::Expired => earlier = Some(now),
                Verdict::ClockStepped => return None,
            }
        }
        None
    }
}
