//! The type that carries a credential's value.
//!
//! Guarantees that the value is neither printed nor serialized by accident, and that
//! its memory is zeroed when it is dropped. The copies that the transport makes on
//! the way aren't covered.

use std::fmt;

use bytes::Bytes;
use zeroize::{Zeroize, Zeroizing};

/// A credential's value: bytes that only [`expose`](Self::expose) shows.
///
/// ```
/// use credcache_client::Secret;
///
/// let secret = Secret::new(String::from("hunter2"));
/// assert_eq!(secret.expose(), b"hunter2");
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// ```
///
/// `Debug` prints a placeholder, and there is no `Display`. The memory is zeroed when
/// the secret is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Makes a secret of a value. A `Vec` or a `String` isn't copied. A borrowed value
    /// is copied, and the original stays with its owner, who must zero it.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value of a received message, in memory of its own. The message is zeroed with the
    /// last of its values.
    ///
    /// Keeping the message's memory would hold a buffer of 8 KiB or more for as long
    /// as the value lives.
    pub(crate) fn received(value: Bytes) -> Self {
        let secret = Self::new(&value[..]);
        zeroize_message(value);
        secret
    }

    /// Returns the value.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the value as text; `None` if it isn't UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }

    /// The value for a message, without a copy: its memory is zeroed once the
    /// last handle to it is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.0)
    }
}

/// Zeroes a message up to the end of this value, unless something else of the message is
/// still there: then that does, if it is a value.
fn zeroize_message(value: Bytes) {
    let Ok(mut message) = value.try_into_mut() else {
        return;
    };
    message.zeroize();
    // What stands before the value: other values of a batch, which have gone by now.
    let rest = message.capacity();
    message.clear();
    if message.try_reclaim(rest + 1) {
        message.resize(message.capacity() - rest, 0);
        message.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use credcache_traces::Mark;
    use prost::Message;

    use super::*;
    use crate::{clock::BootInstant, judged::Unjudged, lookup::LookupResponse, proto};

    fn credential(mark: Mark) -> proto::Credential {
        let minute = prost_types::Duration {
            seconds: 60,
            nanos: 0,
        };
        let at = prost_types::Timestamp::default();
        proto::Credential {
            value: mark.bytes(400).to_vec().into(),
            expires_at: Some(at),
            refresh_at: Some(at),
            ttl: Some(minute),
            ..Default::default()
        }
    }

    /// The message in a buffer that the decoder then shares out, as the transport's is.
    fn encoded(message: &impl Message) -> BytesMut {
        let mut buffer = BytesMut::with_capacity(8192);
        message.encode(&mut buffer).unwrap();
        buffer
    }

    fn zeroed(value: Bytes) {
        value.try_into_mut().unwrap().zeroize();
    }

    #[test]
    fn dropped_value_is_zeroed_in_every_copy() {
        let mark = Mark::new(1);
        let secret = Secret::new(&mark.bytes(400)[..]);
        let copy = secret.clone();
        assert_eq!(mark.traces().unwrap(), 2);
        drop(secret);
        assert_eq!(mark.traces().unwrap(), 1);
        let sent = copy.into_bytes();
        assert!(mark.is(&sent.clone()));
        drop(sent);
        assert_eq!(mark.traces().unwrap(), 0);
    }

    #[test]
    fn received_message_is_zeroed_beside_its_lease() {
        let mark = Mark::new(2);
        let credential = credential(mark);
        let mut response = proto::GetResponse {
            outcome: Some(proto::get_response::Outcome::Credential(credential)),
            lease: Some(proto::Lease {
                token: Bytes::from_static(b"0123456789abcdef"),
                ttl: Some(prost_types::Duration::default()),
            }),
        };
        let buffer = encoded(&response);
        if let Some(proto::get_response::Outcome::Credential(sent)) = response.outcome.take() {
            zeroed(sent.value);
        }
        let response = proto::GetResponse::decode(buffer).unwrap();
        let answer = LookupResponse::<Unjudged>::parse(response, BootInstant::now()).unwrap();
        assert_eq!(mark.traces().unwrap(), 1, "the credential's own");
        assert_eq!(answer.lease.unwrap().token.expose(), b"0123456789abcdef");
        drop(answer.lookup);
        assert_eq!(mark.traces().unwrap(), 0);
    }

    #[test]
    fn received_batch_is_zeroed_with_its_last_value() {
        use proto::batch_get_result::Outcome;
        let marks = [3, 4, 5].map(Mark::new);
        let mut batch = proto::BatchGetResponse {
            results: marks
                .map(|mark| proto::BatchGetResult {
                    outcome: Some(Outcome::Credential(credential(mark))),
                })
                .into(),
        };
        let buffer = encoded(&batch);
        for result in batch.results.drain(..) {
            if let Some(Outcome::Credential(sent)) = result.outcome {
                zeroed(sent.value);
            }
        }
        let response = proto::BatchGetResponse::decode(buffer).unwrap();
        let secrets = response
            .results
            .into_iter()
            .map(|result| match result.outcome {
                Some(Outcome::Credential(credential)) => Secret::received(credential.value),
                _ => panic!("it was a credential"),
            });
        let secrets: Vec<_> = secrets.collect();
        for (mark, secret) in marks.into_iter().zip(&secrets) {
            assert!(mark.is(secret.expose()));
            assert_eq!(mark.traces().unwrap(), 1, "the credential's own");
        }
        drop(secrets);
        assert!(marks.iter().all(|mark| mark.traces().unwrap() == 0));
    }

    #[test]
    fn debug_shows_neither_value_nor_length() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
        assert_eq!(format!("{:#?}", Secret::new("")), "Secret(..)");
    }

    #[test]
    fn value_is_text_if_it_can_be() {
        assert_eq!(Secret::new("hunter2").as_str(), Some("hunter2"));
        assert_eq!(Secret::new(vec![0xff, 0xfe]).as_str(), None);
    }

    #[test]
    fn received_value_does_not_hold_the_buffer_it_came_in() {
        let mut buffer = BytesMut::with_capacity(8192);
        buffer.extend_from_slice(b"a message with hunter2 in it");
        let secret = Secret::received(buffer.freeze().slice(15..22));
        assert_eq!(secret.expose(), b"hunter2");
        assert_eq!(secret.0.capacity(), 7);
    }

    #[test]
    fn message_bytes_are_the_value_at_its_own_address() {
        let secret = Secret::new("hunter2");
        let address = secret.expose().as_ptr();
        let bytes = secret.into_bytes();
        assert_eq!((&bytes[..], bytes.as_ptr()), (&b"hunter2"[..], address));
    }
}
