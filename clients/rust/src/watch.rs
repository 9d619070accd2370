//! The stream of what changes in a namespace.
//!
//! It tells what the server sends, in order, and no more: whether a silence has
//! lasted too long, and what to do then, is its reader's to decide.

use std::fmt;

use tonic::Streaming;

use crate::{
    Client, Error, Target,
    clock::BootInstant,
    proto::{self, credential_cache_service_client::CredentialCacheServiceClient as Stub},
    retry::Delivery,
};

impl Client {
    /// Watches what changes in a namespace, from now on.
    ///
    /// The timeout is for the watch to begin; then it goes on until it is dropped
    /// or its connection breaks.
    pub async fn watch(&self, namespace: impl Into<String>) -> Result<Watch, Error> {
        self.watch_from(namespace, "", 0).await
    }

    /// [`watch`](Self::watch), from where an earlier watch stood: the instance
    /// that it watched, and the revision of its last event. What happened since
    /// is told first; if the server doesn't remember all of it, or is another
    /// instance, the watch begins with a [`Reset`](Event::Reset). Revision
    /// 0 means from now on.
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
        // The server isn't told a timeout: it would count for the whole stream.
        let attempt = |_| async move {
            let mut stub = Stub::new(self.connections.next());
            let asked = BootInstant::now();
            let events = stub.watch(request.clone()).await?;
            Ok(Watch::new(events.into_inner(), asked))
        };
        self.retry.run(Delivery::Read, self.timeout, attempt).await
    }
}

/// What changes in one namespace, as the server tells it.
///
/// Dropping it ends it. Its connection is probed while it is idle, but a server
/// that falls silent ends it only after half a minute: take
/// [`Heartbeat`](Event::Heartbeat), of which one comes every second, as the sign
/// of life.
pub struct Watch {
    events: Streaming<proto::WatchResponse>,
    /// Just before it was asked for: all that it tells was sent later.
    pub(crate) asked: BootInstant,
}

impl Watch {
    pub(crate) fn new(events: Streaming<proto::WatchResponse>, asked: BootInstant) -> Self {
        Self { events, asked }
    }

    /// Waits for the next event. Never ends by a timeout.
    ///
    /// After an error there are no more: begin again with
    /// [`watch_from`](Client::watch_from), at the revision of the last
    /// event. A stream that the server ended is [`Error::Disconnected`].
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

/// What happened in a watched namespace, in the order of revisions.
///
/// `Debug` prints no key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Credentials were revoked: every matching one whose version is lower than
    /// `revision` is void.
    Invalidated {
        /// Which; never [`Target::KeyVersion`].
        target: Target,
        /// The revision of the invalidation.
        revision: u64,
    },
    /// A key holds a new version.
    Replaced {
        /// The key.
        key: String,
        /// The version it holds now.
        version: u64,
        /// The revision of the event.
        revision: u64,
    },
    /// Events were lost, or this is another instance: whatever was derived from
    /// earlier events is void.
    Reset {
        /// The instance that answers.
        instance_id: String,
        /// Where the events go on.
        revision: u64,
    },
    /// Everything up to `revision` has been sent. Comes every second.
    Heartbeat {
        /// The instance that answers.
        instance_id: String,
        /// Up to where everything was sent.
        revision: u64,
    },
}

impl Event {
    /// Where the watch stands after this event; from there
    /// [`watch_from`](Client::watch_from) goes on.
    pub fn revision(&self) -> u64 {
        match self {
            Self::Invalidated { revision, .. }
            | Self::Replaced { revision, .. }
            | Self::Reset { revision, .. }
            | Self::Heartbeat { revision, .. } => *revision,
        }
    }

    fn parse(response: proto::WatchResponse) -> Result<Self, Error> {
        use proto::{invalidated::Target as Wire, watch_response::Event as Sent};
        let revision = response.revision;
        // What can't be understood may have been a revocation: it ends the
        // watch, so that it can't be passed over.
        let event = response.event.ok_or(Error::Malformed("event is unset"))?;
        Ok(match event {
            Sent::Invalidated(invalidated) => Self::Invalidated {
                target: match invalidated.target {
                    Some(Wire::Key(key)) => Target::Key(key),
                    Some(Wire::KeyPrefix(prefix)) => Target::KeyPrefix(prefix),
                    Some(Wire::Tag(tag)) => Target::Tag(tag),
                    Some(Wire::All(_)) => Target::All,
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
    use proto::{invalidated::Target as Wire, watch_response::Event as Sent};

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
            (Wire::Key(secret()), Target::Key(secret())),
            (Wire::KeyPrefix(secret()), Target::KeyPrefix(secret())),
            (Wire::Tag(secret()), Target::Tag(secret())),
            (Wire::All(true), Target::All),
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
