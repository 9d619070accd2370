//! Many Gets or Puts at once, in as many messages as they take.
//!
//! Guarantees answers in the order of what was asked, however it was divided,
//! and for each item of a batch what holds for a single Get or Put.

mod puts;

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    Client, Error, Lookup, MissReason, Put, Stored,
    clock::BootInstant,
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    retry::Delivery,
    wire,
};

/// The most items of a message.
const MAX_ITEMS: usize = 1000;

impl Client {
    /// What [`get`](Self::get) would answer for each key, in the order of the
    /// keys; with `min_ttl`, a credential that has less left is a miss.
    ///
    /// More than 1000 keys, or more than 4 MiB of credentials, take more than
    /// one message, all within the timeout of one call. An error is one of the
    /// whole batch; an index in it, as in `keys[3]`, counts from the first key of
    /// its message.
    pub async fn batch_get(
        &self,
        namespace: impl Into<String>,
        keys: impl IntoIterator<Item = impl Into<String>>,
        min_ttl: Option<Duration>,
    ) -> Result<Vec<Lookup>, Error> {
        let deadline = Instant::now() + self.timeout;
        let namespace = namespace.into();
        let min_ttl = min_ttl.map(wire::span);
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        let mut answers: Vec<Option<Lookup>> = keys.iter().map(|_| None).collect();
        let mut open: VecDeque<usize> = (0..keys.len()).collect();
        let mut at_once = MAX_ITEMS;
        while !open.is_empty() {
            let asked: Vec<usize> = open.drain(..open.len().min(at_once)).collect();
            let request = proto::BatchGetRequest {
                namespace: namespace.clone(),
                keys: asked.iter().map(|nth| keys[*nth].clone()).collect(),
                min_ttl,
            };
            let lookups = self.until(deadline)?.lookups(request).await?;
            let answered = lookups.iter().filter(|lookup| has_room(lookup)).count();
            if answered == 0 {
                return Err(Error::Malformed("not even one credential has room"));
            }
            if answered < asked.len() {
                // Asking for more would only have more of it looked up in vain.
                at_once = answered;
            }
            for (nth, lookup) in asked.into_iter().zip(lookups).rev() {
                if has_room(&lookup) {
                    answers[nth] = Some(lookup);
                } else {
                    open.push_front(nth);
                }
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Stores each credential as [`put`](Self::put) would, one after the other;
    /// answers what was stored, or why it wasn't, in the same order.
    ///
    /// More than 1000, or more than 4 MiB of them, take more than one message,
    /// all within the timeout of one call. Each message is carried out once at
    /// most. Its error is answered for each of its items; if the server can't be
    /// reached any more, or the timeout has passed, also for all that come later:
    /// they aren't sent.
    pub async fn batch_put(&self, puts: Vec<Put>) -> Vec<Result<Stored, Error>> {
        let called = BootInstant::now();
        let deadline = Instant::now() + self.timeout;
        let mut left = puts.len();
        let mut results = Vec::with_capacity(left);
        for part in puts::divide(puts) {
            let count = part.len();
            match self.put_part(deadline, called, part).await {
                Ok(stored) => results.extend(stored),
                // Sent all the same, what is left could overtake what may still
                // be on its way.
                Err(error) if ends_the_batch(&error) => {
                    results.extend(puts::copies(error, left).map(Err));
                    break;
                }
                Err(error) => results.extend(puts::copies(error, count).map(Err)),
            }
            left -= count;
        }
        results
    }

    /// The same client, with what is left until `deadline` for its timeout.
    fn until(&self, deadline: Instant) -> Result<Self, Error> {
        match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::DeadlineExceeded),
            left => Ok(self.with_timeout(left)),
        }
    }

    async fn lookups(&self, request: proto::BatchGetRequest) -> Result<Vec<Lookup>, Error> {
        let (response, sent) = self
            .call(
                Delivery::AtLeastOnce,
                || Ok(request.clone()),
                |channel, request| async move { Stub::new(channel).batch_get(request).await },
            )
            .await?;
        if response.results.len() != request.keys.len() {
            return Err(Error::Malformed("not one result a key"));
        }
        let results = response.results.into_iter();
        results
            .map(|result| Lookup::parse(as_single(result), sent))
            .collect()
    }

    async fn put_part(
        &self,
        deadline: Instant,
        called: BootInstant,
        part: puts::Part,
    ) -> Result<Vec<Result<Stored, Error>>, Error> {
        let ((included, response), _) = self
            .until(deadline)?
            .call(
                Delivery::AtMostOnce,
                || part.message(BootInstant::now().since(called)),
                puts::send,
            )
            .await?;
        puts::parse(&included, response)
    }
}

fn has_room(lookup: &Lookup) -> bool {
    !matches!(lookup, Lookup::Miss(miss) if miss.reason == MissReason::NoRoom)
}

fn as_single(result: proto::BatchGetResult) -> proto::GetResponse {
    use proto::{batch_get_result::Outcome, get_response::Outcome as Single};
    proto::GetResponse {
        outcome: result.outcome.map(|outcome| match outcome {
            Outcome::Credential(credential) => Single::Credential(credential),
            Outcome::Miss(miss) => Single::Miss(miss),
        }),
        ..Default::default()
    }
}

/// Whether the next message would fare no better, or may come before this one.
fn ends_the_batch(error: &Error) -> bool {
    error.unavailable().is_some() || matches!(error, Error::DeadlineExceeded)
}
