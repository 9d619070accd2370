//! The stream of the changes in a namespace.
//!
//! The stream returns what the server sends, in order, and no more. Its reader decides
//! how long a silence may last, and what to do then.

use std::fmt;

use tonic::Streaming;

use crate::{
    Client, Error,
    clock::BootInstant,
    invalidate::Target,
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    retry::Delivery,
};

impl Client {
    /// Watches the changes in a namespace, from now on.
    ///
    /// ```no_run
    /// use credcache_client::{Client, Event};
    ///
    /// # async fn example(client: Client) -> Result<(), credcache_client::Error> {
    /// let mut watch = client.watch("oauth").await?;
    /// loop {
    ///     match watch.next().await? {
    ///         Event::Invalidated { target, revision } => println!("{revision}: {target:?}"),
    ///         Event::Reset { .. } => println!("discard the state"),
    ///         event => println!("up to {}", event.revision()),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// The client's timeout bounds the beginning of the watch. After that the watch goes
    /// on until it is dropped or its connection breaks.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if the watch couldn't begin after the retries.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future ends the watch.
    pub async fn watch(&self, namespace: impl Into<String>) -> Result<Watch, Error> {
        self.watch_from(namespace, "", 0).await
    }

    /// Like [`watch`](Self::watch), from where an earlier watch stood: the instance that
    /// it watched, and the revision of its last event. The events since then come
    /// first. If the server doesn't remember all of them, or is another instance, the
    /// watch begins with a [`Reset`](Event::Reset). Revision 0 means from now on.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if the watch couldn't begin after the retries.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future ends the watch.
    pub async fn watch_from(
        &self,
        namespace: impl Into<String>,
        instance_id: impl Into<String>,
        revision: u64,
    ) -> Result<Watch, Error> {
        let request = proto::WatchRequest {
            namespace: namespace.into(),
            instance_id: instance_id.into(),
            start_revision: revision,
        };
        let request = &request;
        // No timeout is sent to the server: it would count for the whole stream.
        let attempt = |_| async move {
            let mut stub = Stub::new(self.connections.next());
            let asked = BootInstant::now();
            let events = stub.watch(request.clone()).await?;
            Ok(Watch::new(events.into_inner(), asked))
        };
        self.retry.run(Delivery::Read, self.timeout, attempt).await
    }
}

/// The events of one namespace, as the server sends them:
/// [`Client::watch`] has an example.
///
/// Dropping the watch ends it. Its connection is probed while it is idle, but a server
/// that falls silent ends the watch only after half a minute. Take the
/// [`Heartbeat`](Event::Heartbeat) that comes every second as the sign of life.
pub struct Watch {
    events: Streaming<proto::WatchResponse>,
    /// The instant just before the request: all events were sent later.
    pub(crate) asked: BootInstant,
}

impl Watch {
    pub(crate) fn new(events: Streaming<proto::WatchResponse>, asked: BootInstant) -> Self {
        Self { events, asked }
    }

    /// Waits for the next event. The wait has no timeout.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if the watch broke, and [`Error::Disconnected`] if the
    /// server ended it. There are no more events after an error: begin again with
    /// [`watch_from`](Client::watch_from), at the revision of the last event.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no event is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Event, Error> {
        match self.events.message().await? {
            Some(response) => Event::parse(response),
            None => Err(Error::Disconnected("the server ended the watch".into())),
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// An event in a watched namespace. Events come in the order of revisions.
///
/// `Debug` prints no key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Credentials were revoked: every matching credential whose version is lower than
    /// `revision` is void.
    Invalidated {
        /// Which credentials; never [`Target::KeyVersion`].
        target: Target,
        /// The revision of the invalidation.
        revision: u64,
    },
    /// A key holds a new version.
    Replaced {
        /// The key.
        key: String,
        /// The version that the key holds now.
        version: u64,
        /// The revision of the event.
        revision: u64,
    },
    /// Events were lost, or this is another instance: discard all state that was
    /// derived from earlier events.
    Reset {
        /// The instance that answers.
        instance_id: String,
        /// The revision after which the events go on.
        revision: u64,
    },
    /// Every event up to `revision` has been sent. A heartbeat comes every second.
    Heartbeat {
        /// The instance that answers.
        instance_id: String,
        /// The revision up to which every event was sent.
        revision: u64,
    },
}

impl Event {
    /// Returns the revision at which the watch stands after this event, for
    /// [`watch_from`](Client::watch_from).
    pub fn revision(&self) -> u64 {
        match self {
            Self::Invalidated { revision, .. }
            | Self::Replaced { revision, .. }
            | Self::Reset { revision, .. }
            | Self::Heartbeat { revision, .. } => *revision,
        }
    }

    fn parse(response: proto::WatchResponse) -> Result<Self, Error> {
        use proto::{invalidated::Target as WireTarget, watch_response::Event as Sent};
        let revision = response.revision;
        // An event that can't be understood may be a revocation. It ends the watch, so
        // that it isn't passed over.
        let event = response.event.ok_or(Error::Malformed("event is unset"))?;
        Ok(match event {
            Sent::Invalidated(invalidated) => Self::Invalidated {
                target: match invalidated.target {
                    Some(WireTarget::Key(key)) => Target::Key(key),
                    Some(WireTarget::KeyPrefix(prefix)) => Target::KeyPrefix(prefix),
                    Some(WireTarget::Tag(tag)) => Target::Tag(tag),
                    Some(WireTarget::All(_)) => Target::All,
                    None => return Err(Error::Malformed("target is unset")),
                },
                revision,
            },
            Sent::Replaced(replaced) => Self::Replaced {
                key: replaced.key,
                version: replaced.version,
                revision,
            },
            Sent::Reset(reset) => Self::Reset {
                instance_id: reset.instance_id,
                revision,
            },
            Sent::Heartbeat(heartbeat) => Self::Heartbeat {
                instance_id: heartbeat.instance_id,
                revision,
            },
        })
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalidated { target, revision } => f
                .debug_struct("Invalidated")
                .field("target", target)
                .field("revision", revision)
                .finish(),
            Self::Replaced { version, .. } => f
                .debug_struct("Replaced")
                .field("version", version)
                .finish_non_exhaustive(),
            Self::Reset { instance_id, .. } => f.debug_tuple("Reset").field(instance_id).finish(),
            Self::Heartbeat { revision, .. } => f.debug_tuple("Heartbeat").field(revision).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{invalidated::Target as WireTarget, watch_response::Event as Sent};

    fn parse(event: Option<Sent>) -> Result<Event, Error> {
        Event::parse(proto::WatchResponse { event, revision: 7 })
    }

    #[test]
    fn every_event_is_understood_and_none_shows_a_key() {
        let invalidated = |target| {
            Sent::Invalidated(proto::Invalidated {
                target: Some(target),
            })
        };
        let secret = || "role/reader".to_owned();
        for (sent, expected) in [
            (WireTarget::Key(secret()), Target::Key(secret())),
            (WireTarget::KeyPrefix(secret()), Target::KeyPrefix(secret())),
            (WireTarget::Tag(secret()), Target::Tag(secret())),
            (WireTarget::All(true), Target::All),
        ] {
            let event = parse(Some(invalidated(sent))).unwrap();
            assert!(!format!("{event:?}").contains("reader"));
            let expected = Event::Invalidated {
                target: expected,
                revision: 7,
            };
            assert_eq!(event, expected);
        }
        let replaced = parse(Some(Sent::Replaced(proto::Replaced {
            key: secret(),
            version: 6,
        })));
        let replaced = replaced.unwrap();
        assert_eq!(format!("{replaced:?}"), "Replaced { version: 6, .. }");
        assert_eq!(replaced.revision(), 7);
    }

    #[test]
    fn event_that_cannot_be_understood_is_not_passed_over() {
        assert!(matches!(parse(None), Err(Error::Malformed(_))));
        let nothing = Sent::Invalidated(proto::Invalidated { target: None });
        assert!(matches!(parse(Some(nothing)), Err(Error::Malformed(_))));
    }
}
