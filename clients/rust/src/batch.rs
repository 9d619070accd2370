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
    judged::Unjudged,
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
        let least_left = min_ttl.unwrap_or_default();
        let asking = Asking {
            client: self,
            deadline: Instant::now() + self.timeout,
            namespace: namespace.into(),
            min_ttl: min_ttl.map(wire::span),
            keys: keys.into_iter().map(Into::into).collect(),
        };
        let mut answers: Vec<_> = asking.keys.iter().map(|_| None).collect();
        asking
            .answer((0..answers.len()).collect(), &mut answers)
            .await?;
        // What ended while others were under way is asked for once more. If that
        // brings no better answer, it is a miss.
        let late = answers.iter().enumerate().filter(|(_, answer)| {
            let answer: &Option<Lookup<Unjudged>> = answer;
            answer
                .as_ref()
                .is_some_and(|answer| answer.is_late(least_left))
        });
        let late: VecDeque<usize> = late.map(|(nth, _)| nth).collect();
        if !late.is_empty() {
            let _ = asking.answer(late, &mut answers).await;
        }
        let answers = answers.into_iter().flatten();
        Ok(answers.map(|answer| answer.judge(least_left)).collect())
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
        for part in puts::divide(puts, called) {
            let count = part.len();
            match self.put_part(deadline, part).await {
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

    async fn lookups(
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
            .map(|result| Lookup::parse(as_single(result), sent))
            .collect::<Result<_, _>>()?;
        for lookup in lookups.iter().filter(|lookup| has_room(lookup)) {
            self.count(lookup);
        }
        let hit = lookups.iter().find_map(|lookup| match lookup {
            Lookup::Hit(credential) => Some(credential.seen()),
            Lookup::Miss(_) => None,
        });
        if let Some(credential) = hit {
            self.server_clock_shown_by(credential, sent);
        }
        Ok(lookups)
    }

    async fn put_part(
        &self,
        deadline: Instant,
        part: puts::Part,
    ) -> Result<Vec<Result<Stored, Error>>, Error> {
        let ((ttl, included, response), sent) = self
            .until(deadline)?
            .call(
                Delivery::AtMostOnce,
                || part.message(&self.server_clock),
                puts::send,
            )
            .await?;
        let received = BootInstant::now();
        let results = puts::parse(&included, response)?;
        // The first item's word on the clock is as good as any.
        let first = included.iter().position(|included| *included);
        let first = first.and_then(|first| results.get(first));
        if let (Some(ttl), Some(Ok(stored))) = (ttl, first) {
            self.server_clock
                .ended_at(stored.expires_at, ttl, sent, received);
        }
        Ok(results)
    }
}

/// The Gets of a batch.
struct Asking<'a> {
    client: &'a Client,
    deadline: Instant,
    namespace: String,
    min_ttl: Option<prost_types::Duration>,
    keys: Vec<String>,
}

impl Asking<'_> {
    /// Asks for these, by their index, in as many messages as it takes.
    async fn answer(
        &self,
        mut open: VecDeque<usize>,
        answers: &mut [Option<Lookup<Unjudged>>],
    ) -> Result<(), Error> {
        let mut at_once = MAX_ITEMS;
        while !open.is_empty() {
            let asked: Vec<usize> = open.drain(..open.len().min(at_once)).collect();
            let request = proto::BatchGetRequest {
                namespace: self.namespace.clone(),
                keys: asked.iter().map(|nth| self.keys[*nth].clone()).collect(),
                min_ttl: self.min_ttl,
            };
            let client = self.client.until(self.deadline)?;
            let lookups = client.lookups(request).await?;
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
        Ok(())
    }
}

fn has_room(lookup: &Lookup<Unjudged>) -> bool {
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
