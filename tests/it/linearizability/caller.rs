//! A caller, which makes one call after the other.

use std::{sync::Arc, time::Duration};

use credcache_client as client;
use credcache_client::{
    Client, Error, GetOptions, InvalidateOptions, Lease, Lifetime, Lookup, Secret,
};
use credcache_history::{
    Abandon, Call, Extend, Get, Granted, Hit, Invalidate, Name, Operation, Precondition, Put,
    Refusal, Stored, Target, Token,
};

use super::{
    draw::{Draw, PutWish, Wish},
    record::{Recorder, nanos},
};

pub(super) struct Caller {
    client: Client,
    /// A client that only puts, and so learns nothing of the server's clock. It sends lifetimes as
    /// they are drawn, whatever time has passed for the server.
    putting: Client,
    recorder: Arc<Recorder>,
    draw: Draw,
    record: Vec<Operation>,
}

impl Caller {
    pub(super) fn new([client, putting]: [Client; 2], recorder: Arc<Recorder>, draw: Draw) -> Self {
        Self {
            client,
            putting,
            recorder,
            draw,
            record: Vec::new(),
        }
    }

    /// Makes a call and records it.
    pub(super) async fn call(&mut self) {
        let operation = match self.draw.wish() {
            Wish::Get(name, acquire_lease) => self.get(name, acquire_lease).await,
            Wish::Put(wish) => self.put(wish).await,
            Wish::Invalidate(namespace, target, age) => {
                self.invalidate(namespace, target, age).await
            }
            Wish::Extend(name, lease) => self.extend(name, lease).await,
            Wish::Abandon(name, lease) => self.abandon(name, lease).await,
        };
        self.record.push(operation);
    }

    pub(super) fn record(self) -> Vec<Operation> {
        self.record
    }

    async fn get(&mut self, name: Name, acquire_lease: bool) -> Operation {
        let options = GetOptions::default().acquire_lease(acquire_lease);
        let answer = self.client.lookup(&name.namespace, &name.key, options);
        let (span, answer) = self.recorder.timed(answer).await;
        let answer = answer.unwrap();
        let hit = match answer.lookup {
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
        let lease = answer.lease.as_ref().map(|lease| Granted {
            token: token(lease),
            ttl: u64::try_from(lease.ttl.as_nanos()).unwrap(),
        });
        if let Some(lease) = answer.lease {
            self.draw.granted(name.clone(), lease);
        }
        let call = Call::Get(Get {
            name,
            min_ttl: 0,
            hit,
            lease,
        });
        Operation { span, call }
    }

    async fn put(&mut self, wish: PutWish) -> Operation {
        let name = wish.name.clone();
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
        if let Some(lease) = &wish.lease {
            put = put.lease(lease);
        }
        let issued_at = wish.age.map(|age| self.recorder.ago(age));
        if let Some(issued_at) = issued_at {
            put = put.issued_at(issued_at);
        }
        let (span, answer) = self.recorder.timed(self.putting.put(put)).await;
        let outcome = match answer {
            Ok(stored) => Ok(Stored {
                version: stored.version,
                expires_at: nanos(stored.expires_at),
            }),
            Err(Error::Refused(refusal)) => Err(match refusal.reason.as_deref() {
                Some("KEY_LIVE") => Refusal::Exists,
                Some("VERSION_DIFFERS") => Refusal::VersionDiffers,
                Some("LEASE_LOST") => Refusal::LeaseLost,
                Some("REVOKED") => Refusal::Revoked,
                _ => panic!("{refusal}"),
            }),
            Err(error) => panic!("{error}"),
        };
        if let Ok(stored) = outcome {
            self.draw.met(name.clone(), stored.version);
            self.draw.stored(&wish);
        }
        let call = Call::Put(Put {
            name,
            value: wish.value,
            tags: wish.tags,
            lease: wish.lease.as_ref().map(token),
            issued_at: issued_at.map(nanos),
            precondition: wish.precondition,
            outcome,
        });
        Operation { span, call }
    }

    async fn invalidate(
        &mut self,
        namespace: String,
        target: Target,
        age: Option<Duration>,
    ) -> Operation {
        let asked = match target.clone() {
            Target::Key(key) => client::Target::Key(key),
            Target::KeyVersion(key, version) => client::Target::KeyVersion(key, version),
            Target::Prefix(prefix) => client::Target::KeyPrefix(prefix),
            Target::Tag(tag) => client::Target::Tag(tag),
            Target::All => client::Target::All,
        };
        let issued_before = age.map(|age| self.recorder.ago(age));
        let mut options = InvalidateOptions::default();
        if let Some(issued_before) = issued_before {
            options = options.issued_before(issued_before);
        }
        let answer = self.client.invalidate_with(&namespace, asked, options);
        let (span, answer) = self.recorder.timed(answer).await;
        let answer = answer.unwrap();
        let call = Call::Invalidate(Invalidate {
            namespace,
            target,
            issued_before: issued_before.map(nanos),
            removed: answer.removed,
            revision: answer.revision,
        });
        Operation { span, call }
    }

    async fn extend(&mut self, name: Name, lease: Lease) -> Operation {
        let (namespace, key) = (&name.namespace, &name.key);
        let answer = self
            .client
            .extend_lease(namespace, key, &lease.token, lease.ttl);
        let (span, answer) = self.recorder.timed(answer).await;
        let left = match answer {
            Ok(left) => Some(u64::try_from(left.as_nanos()).unwrap()),
            Err(error) if matches!(error.reason(), Some("LEASE_LOST" | "REVOKED")) => None,
            Err(error) => panic!("{error}"),
        };
        let call = Call::Extend(Extend {
            name,
            lease: token(&lease),
            left,
        });
        Operation { span, call }
    }

    async fn abandon(&mut self, name: Name, lease: Lease) -> Operation {
        let (namespace, key) = (&name.namespace, &name.key);
        let answer = self.client.abandon_lease(namespace, key, &lease, None);
        let (span, answer) = self.recorder.timed(answer).await;
        let accepted = match answer {
            Ok(()) => true,
            Err(error) if error.reason() == Some("LEASE_LOST") => false,
            Err(error) => panic!("{error}"),
        };
        let call = Call::Abandon(Abandon {
            name,
            lease: token(&lease),
            accepted,
        });
        Operation { span, call }
    }
}

fn token(lease: &Lease) -> Token {
    lease.token.expose().try_into().unwrap()
}
