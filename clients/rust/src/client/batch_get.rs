//! Many Gets in one call, in as many messages as they take.
//!
//! Guarantees lookups in the order of the keys, however they were divided, and for
//! each key what holds for a single Get.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    Client, Error,
    judged::Unjudged,
    lookup::Lookup,
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    retry::Delivery,
    wire,
};

/// The most keys that a message may have.
const MAX_KEYS: usize = 1000;

impl Client {
    /// Gets several keys of a namespace: for each key what [`get`](Self::get) would
    /// return, in the order of the keys. With `min_ttl`, a credential that has less
    /// left is a miss.
    ///
    /// ```no_run
    /// # async fn example(client: credcache_client::Client) -> Result<(), credcache_client::Error> {
    /// let lookups = client.batch_get("oauth", ["billing", "orders"], None).await?;
    /// let hits = lookups.into_iter().filter_map(|lookup| lookup.hit()).count();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// More than 1000 keys, or more than 4 MiB of credentials, take more than one
    /// message, all within the timeout of one call.
    ///
    /// # Errors
    ///
    /// An [`Error`] concerns the whole batch. An index in it, as in `keys[3]`, counts
    /// from the first key of its message.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call changes nothing.
    pub async fn batch_get(
        &self,
        namespace: impl Into<String>,
        keys: impl IntoIterator<Item = impl Into<String>>,
        min_ttl: Option<Duration>,
    ) -> Result<Vec<Lookup>, Error> {
        let min_left = min_ttl.unwrap_or_default();
        let batch = BatchGet {
            client: self,
            deadline: Instant::now() + self.timeout,
            namespace: namespace.into(),
            min_ttl: min_ttl.map(wire::span),
            keys: keys.into_iter().map(Into::into).collect(),
        };
        let mut lookups: Vec<_> = batch.keys.iter().map(|_| None).collect();
        batch
            .ask((0..lookups.len()).collect(), &mut lookups)
            .await?;
        // What expired while others were under way is requested once more. If that
        // brings no better answer, it is a miss.
        let late = lookups.iter().enumerate().filter(|(_, lookup)| {
            let lookup: &Option<Lookup<Unjudged>> = lookup;
            lookup
                .as_ref()
                .is_some_and(|lookup| lookup.is_late(min_left))
        });
        let late: VecDeque<usize> = late.map(|(index, _)| index).collect();
        if !late.is_empty() {
            let _ = batch.ask(late, &mut lookups).await;
        }
        let lookups = lookups.into_iter().flatten();
        Ok(lookups.map(|lookup| lookup.judge(min_left)).collect())
    }

    /// Sends one message of a batch.
    async fn batch_get_once(
        &self,
        request: proto::BatchGetRequest,
    ) -> Result<Vec<Lookup<Unjudged>>, Error> {
        let (response, sent) = self
            .call(
                Delivery::Read,
                || Ok(request.clone()),
                |channel, request| async move { Stub::new(channel).batch_get(request).await },
            )
            .await?;
        if response.results.len() != request.keys.len() {
            return Err(Error::Malformed("not one result a key"));
        }
        let results = response.results.into_iter();
        let lookups: Vec<_> = results
            .map(|result| Lookup::parse_result(result, sent))
            .collect::<Result<_, _>>()?;
        for lookup in lookups.iter().filter(|lookup| lookup.has_room()) {
            self.count(lookup);
        }
        let hit = lookups.iter().find_map(|lookup| match lookup {
            Lookup::Hit(credential) => Some(credential.seen()),
            Lookup::Miss(_) => None,
        });
        if let Some(credential) = hit {
            self.learn_server_clock(credential, sent);
        }
        Ok(lookups)
    }
}

/// The Gets of a batch.
struct BatchGet<'a> {
    client: &'a Client,
    deadline: Instant,
    namespace: String,
    min_ttl: Option<prost_types::Duration>,
    keys: Vec<String>,
}

impl BatchGet<'_> {
    /// Asks for the keys with these indices, in as many messages as it takes.
    async fn ask(
        &self,
        mut open: VecDeque<usize>,
        lookups: &mut [Option<Lookup<Unjudged>>],
    ) -> Result<(), Error> {
        let mut at_once = MAX_KEYS;
        while !open.is_empty() {
            let asked: Vec<usize> = open.drain(..open.len().min(at_once)).collect();
            let request = proto::BatchGetRequest {
                namespace: self.namespace.clone(),
                keys: asked
                    .iter()
                    .map(|index| self.keys[*index].clone())
                    .collect(),
                min_ttl: self.min_ttl,
            };
            let client = self.client.until(self.deadline)?;
            let answers = client.batch_get_once(request).await?;
            let answered = answers.iter().filter(|lookup| lookup.has_room()).count();
            if answered == 0 {
                return Err(Error::Malformed("not even one credential has room"));
            }
            if answered < asked.len() {
                // BatchGet for more would only have more of it looked up in vain.
                at_once = answered;
            }
            for (index, lookup) in asked.into_iter().zip(answers).rev() {
                if lookup.has_room() {
                    lookups[index] = Some(lookup);
                } else {
                    open.push_front(index);
                }
            }
        }
        Ok(())
    }
}
