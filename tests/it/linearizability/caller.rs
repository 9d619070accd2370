//! One of the callers: it does one thing after another.

use std::sync::Arc;

use credcache_client as client;
use credcache_client::{Client, Code, Error, Lifetime, Lookup, Secret};
use credcache_history::{
    Call, Get, Hit, Invalidate, Name, Operation, Precondition, Put, Refusal, Stored, Target,
};

use super::{
    draw::{Draw, PutWish, Wish},
    record::{Recorder, nanos},
};

pub(super) struct Caller {
    client: Client,
    recorder: Arc<Recorder>,
    draw: Draw,
    record: Vec<Operation>,
}

impl Caller {
    pub(super) fn new(client: Client, recorder: Arc<Recorder>, draw: Draw) -> Self {
        Self {
            client,
            recorder,
            draw,
            record: Vec::new(),
        }
    }

    /// Makes a call and records it.
    pub(super) async fn call(&mut self) {
        let operation = match self.draw.wish() {
            Wish::Get(name) => self.get(name).await,
            Wish::Put(wish) => self.put(wish).await,
            Wish::Invalidate(namespace, target) => self.invalidate(namespace, target).await,
        };
        self.record.push(operation);
    }

    pub(super) fn record(self) -> Vec<Operation> {
        self.record
    }

    async fn get(&mut self, name: Name) -> Operation {
        let answer = self.client.get(&name.namespace, &name.key);
        let (span, answer) = self.recorder.timed(answer).await;
        let hit = match answer.unwrap() {
            Lookup::Hit(credential) => Some(Hit {
                version: credential.version,
                value: credential.value.expose().to_vec(),
                expires_at: nanos(credential.expires_at),
            }),
            Lookup::Miss(_) => None,
        };
        if let Some(hit) = &hit {
            self.draw.met(name.clone(), hit.version);
        }
        let call = Call::Get(Get { name, hit });
        Operation { span, call }
    }

    async fn put(&mut self, wish: PutWish) -> Operation {
        let name = wish.name;
        let secret = Secret::new(wish.value.clone());
        let lifetime = Lifetime::Ttl(wish.ttl);
        let mut put = client::Put::new(&name.namespace, &name.key, secret, lifetime);
        for tag in &wish.tags {
            put = put.tag(tag);
        }
        put = match wish.precondition {
            Some(Precondition::Absent) => put.if_absent(),
            Some(Precondition::Version(version)) => put.if_version(version),
            None => put,
        };
        let (span, answer) = self.recorder.timed(self.client.put(put)).await;
        let outcome = match answer {
            Ok(stored) => Ok(Stored {
                version: stored.version,
                expires_at: nanos(stored.expires_at),
            }),
            Err(Error::Refused(refusal)) => Err(match refusal.code {
                Code::AlreadyExists => Refusal::Exists,
                Code::Aborted => Refusal::VersionDiffers,
                _ => panic!("{refusal}"),
            }),
            Err(error) => panic!("{error}"),
        };
        if let Ok(stored) = outcome {
            self.draw.met(name.clone(), stored.version);
        }
        let call = Call::Put(Put {
            name,
            value: wish.value,
            tags: wish.tags,
            precondition: wish.precondition,
            outcome,
        });
        Operation { span, call }
    }

    async fn invalidate(&mut self, namespace: String, target: Target) -> Operation {
        let asked = match target.clone() {
            Target::Key(key) => client::Target::Key(key),
            Target::KeyVersion(key, version) => client::Target::KeyVersion(key, version),
            Target::Prefix(prefix) => client::Target::KeyPrefix(prefix),
            Target::Tag(tag) => client::Target::Tag(tag),
            Target::All => client::Target::All,
        };
        let answer = self.client.invalidate(&namespace, asked);
        let (span, answer) = self.recorder.timed(answer).await;
        let call = Call::Invalidate(Invalidate {
            namespace,
            target,
            revision: answer.unwrap().revision,
        });
        Operation { span, call }
    }
}
