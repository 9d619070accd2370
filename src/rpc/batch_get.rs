//! BatchGet: many Gets in one call, each answered as if it had come alone.

use super::{
    Service,
    batch::{BatchGetRequest, Room, items},
    credential::{credential, miss},
    fields::Fields,
    proto::{self, batch_get_result::Outcome},
    status::Failure,
};
use credcache_core::{Key, Lookup, Name};

/// How many invalid keys an error names: a response has no room for a thousand.
const MAX_NAMED: usize = 16;

impl Service {
    /// Looks all keys up without yielding: entries that were checked against the clocks must not
    /// wait for other calls.
    pub(super) fn serve_batch_get(
        &self,
        request: &BatchGetRequest,
    ) -> Result<proto::BatchGetResponse, Failure> {
        let mut fields = Fields::default();
        let names = names(&mut fields, request);
        let min_ttl = fields.optional_duration("min_ttl", request.min_ttl);
        let (names, min_ttl) = fields.finish(|| Some((names?, min_ttl?.unwrap_or_default())))?;
        let mut room = Room::for_misses(names.len());
        let lookups = self.cache.get_each(&names, min_ttl, || self.clock.now());
        let results = lookups.into_iter().map(|lookup| {
            let result = result(match lookup {
                Lookup::Hit(hit) => Outcome::Credential(credential(&self.cache, &hit)),
                Lookup::Miss(reason) => Outcome::Miss(miss(reason)),
            });
            if room.take_result(&result) {
                result
            } else {
                no_room()
            }
        });
        Ok(proto::BatchGetResponse {
            results: results.collect(),
        })
    }
}

fn names<'a>(fields: &mut Fields, request: &'a BatchGetRequest) -> Option<Vec<Name<'a>>> {
    let namespace = fields.namespace(&request.namespace);
    let keys = items(fields, "keys", &request.keys)?;
    let mut parsed = Vec::with_capacity(keys.len());
    let mut wrong = 0;
    for (nth, key) in keys.iter().enumerate() {
        match Key::parse(key) {
            Ok(key) => parsed.push(key),
            Err(rule) => {
                if wrong < MAX_NAMED {
                    fields.check::<(), _>(&format!("keys[{nth}]"), Err(rule));
                }
                wrong += 1;
            }
        }
    }
    let namespace = namespace.filter(|_| wrong == 0)?;
    let names = parsed.into_iter().map(|key| Name { namespace, key });
    Some(names.collect())
}

fn result(outcome: Outcome) -> proto::BatchGetResult {
    proto::BatchGetResult {
        outcome: Some(outcome),
    }
}

fn no_room() -> proto::BatchGetResult {
    result(Outcome::Miss(proto::Miss {
        reason: proto::MissReason::NoRoom.into(),
        retry_after: None,
    }))
}
