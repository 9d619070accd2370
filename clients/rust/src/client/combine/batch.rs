//! Gets that are sent in one message, and their answers.

use std::{collections::HashMap, sync::Arc};

use tokio::{sync::oneshot, time::Instant};
use tonic::{Code, transport::Channel};

use super::queue::{Answer, Group};
use crate::{
    Error,
    client::attempt::attempt,
    clock::BootInstant,
    error::copies::copies,
    judged::{SharedCredential, Unjudged},
    lookup::Lookup,
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    wire,
};

/// Gets that travel together.
pub(super) struct Batch {
    pub(super) members: Vec<Member>,
    keys: usize,
}

/// A Get of a batch.
pub(super) struct Member {
    /// The index of its key in the message: Gets of the same key share it.
    index: usize,
    answer: oneshot::Sender<Answer>,
}

/// The message of a batch.
pub(super) struct Message {
    request: proto::BatchGetRequest,
    /// When the last caller gives up.
    deadline: Instant,
}

/// The answers to the keys of a message, and when it was sent.
pub(super) type Answers = (Vec<Answer>, BootInstant);

impl Batch {
    /// The batch of those whose callers are still there; `None` if no caller is.
    pub(super) fn new(group: Group) -> Option<(Self, Message)> {
        let mut gets = Vec::from(group.gets);
        gets.retain(|get| !get.answer.is_closed());
        let deadline = gets.iter().map(|get| get.deadline).max()?;
        let mut indices = HashMap::with_capacity(gets.len());
        let shared: Vec<usize> = gets
            .iter()
            .map(|get| {
                let next = indices.len();
                *indices.entry(&*get.key).or_insert(next)
            })
            .collect();
        let mut keys = Vec::with_capacity(indices.len());
        let mut members = Vec::with_capacity(gets.len());
        for (get, index) in gets.into_iter().zip(shared) {
            if index == keys.len() {
                keys.push(get.key);
            }
            let answer = get.answer;
            members.push(Member { index, answer });
        }
        let batch = Self {
            members,
            keys: keys.len(),
        };
        let request = proto::BatchGetRequest {
            namespace: group.namespace,
            keys,
            min_ttl: group.min_ttl.map(wire::span),
        };
        Some((batch, Message { request, deadline }))
    }

    /// How many Gets travel together.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Waits until no caller is left.
    pub(super) async fn abandoned(&mut self) {
        for member in &mut self.members {
            member.answer.closed().await;
        }
    }

    /// Hands the answers out. Who gets none goes on by itself: there was no room for
    /// its answer, or what was refused may have been another Get of the batch.
    pub(super) fn hand_out(self, answers: Result<Vec<Answer>, Error>) {
        match answers {
            Ok(answers) => {
                for member in self.members {
                    let answer = match answers.get(member.index) {
                        Some(Ok(lookup)) if lookup.has_room() => Ok(lookup.clone()),
                        Some(Err(Error::Malformed(what))) => Err(Error::Malformed(what)),
                        _ => continue,
                    };
                    // In vain if the caller has gone.
                    let _ = member.answer.send(answer);
                }
            }
            Err(error) if self.keys > 1 && concerns_one(&error) => {}
            Err(error) => {
                let errors = copies(error, self.members.len());
                for (member, error) in self.members.into_iter().zip(errors) {
                    let _ = member.answer.send(Err(error));
                }
            }
        }
    }
}

/// Whether a single Get may have caused the refusal of the whole batch, or a batch
/// can't be answered where Gets can.
fn concerns_one(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if matches!(
        refusal.code,
        Code::InvalidArgument | Code::OutOfRange | Code::PermissionDenied | Code::Unimplemented
    ))
}

impl Message {
    /// Sends the message, once. One key alone is sent as a Get.
    pub(super) async fn send(self, channel: Channel) -> Result<Answers, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut request = self.request;
        let count = request.keys.len();
        if count == 1
            && let Some(key) = request.keys.pop()
        {
            let request = proto::GetRequest {
                namespace: request.namespace,
                key,
                min_ttl: request.min_ttl,
                ..Default::default()
            };
            let get = async |channel, request| Stub::new(channel).get(request).await;
            let (response, sent) = attempt(channel, left, request, get).await?;
            return Ok((vec![shared(Lookup::parse(response, sent))], sent));
        }
        let batch_get = async |channel, request| Stub::new(channel).batch_get(request).await;
        let (response, sent) = attempt(channel, left, request, batch_get).await?;
        if response.results.len() != count {
            return Err(Error::Malformed("not one result a key"));
        }
        let results = response.results.into_iter();
        let answers = results.map(|result| shared(Lookup::parse_result(result, sent)));
        Ok((answers.collect(), sent))
    }
}

fn shared(lookup: Result<Lookup<Unjudged>, Error>) -> Result<Lookup<SharedCredential>, Error> {
    lookup.map(|lookup| lookup.map(|credential| credential.map(Arc::new)))
}
