//! The fast path answers a Get or BatchGet from the request's bytes to the response's bytes, with
//! no message type in between.
//!
//! The fast path gives the same answer as the generated path. Everything else, including every
//! error, is left to the generated path, untouched and uncounted.

mod buffer;
mod encode;
mod field_key;
mod method;
mod read;
#[cfg(test)]
mod tests;
mod unsent;
mod write;

use super::Service;
pub(crate) use buffer::FRAME_HEAD;
use credcache_core::{BatchGet, Lookup, Verdict};
pub(crate) use method::Method;
pub(crate) use unsent::Unsent;
use write::BatchWriter;

impl Service {
    /// The framed response to a request's message, or `None` if the response needs a wait or is an
    /// error.
    pub(crate) fn answer_fast(&self, method: Method, message: &[u8]) -> Option<Vec<u8>> {
        match method {
            Method::Get => self.fast_get(message),
            Method::BatchGet => self.fast_batch_get(message),
        }
    }

    fn fast_get(&self, message: &[u8]) -> Option<Vec<u8>> {
        let get = read::get(message)?;
        let now = || self.clock.now();
        if get.acquire_lease || !get.wait.is_zero() {
            // Without a hit, the generated path grants a lease or waits.
            let hit = self.cache.hit(get.name, get.min_ttl, get.when_due(), now)?;
            return Some(write::get(&self.cache, &Lookup::Hit(hit)));
        }
        let lookup = self.cache.get(get.name, get.min_ttl, now);
        Some(write::get(&self.cache, &lookup))
    }

    fn fast_batch_get(&self, message: &[u8]) -> Option<Vec<u8>> {
        let batch = read::batch_get(message)?;
        let now = || self.clock.now();
        // A second round runs if an entry expired before the check at the end: the entry is then
        // known to have expired.
        let mut earlier = None;
        for _ in 0..2 {
            let request = BatchGet {
                namespace: batch.namespace,
                keys: &batch.keys,
                min_ttl: batch.min_ttl,
                earlier,
            };
            let mut response = BatchWriter::new(&self.cache, batch.keys.len());
            let batch_read = self.cache.batch_get(request, now, &mut response)?;
            let now = now();
            match batch_read.judge(now, |left| response.set_next_ttl(left)) {
                Verdict::Valid => return Some(response.framed()),
                Verdict::Expired => earlier = Some(now),
                Verdict::ClockStepped => return None,
            }
        }
        None
    }
}
