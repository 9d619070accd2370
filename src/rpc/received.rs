//! Requests with values, as they were received.
//!
//! The value of a decoded request is a slice of the transport's message, which is zeroed when the
//! request is dropped, however the call ends.

use std::{mem, ops::Deref};

use bytes::Bytes;
use zeroize::Zeroize;

use super::{batch::BatchPutRequest, proto::PutRequest};

/// A request whose values are zeroed when it is dropped.
pub(super) struct Received<R: HoldsValues>(R);

/// A message that contains values.
pub(super) trait HoldsValues {
    /// Takes all values out, and drops everything else that shares their memory.
    fn take_values(&mut self) -> impl Iterator<Item = Bytes>;
}

impl<R: HoldsValues> Received<R> {
    pub(super) fn new(request: R) -> Self {
        Self(request)
    }
}

impl<R: HoldsValues> Deref for Received<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0
    }
}

impl<R: HoldsValues> Drop for Received<R> {
    fn drop(&mut self) {
        let mut last = None;
        // An earlier value shares the message with the next one. Only the last value of a message
        // is its only owner.
        for value in self.0.take_values() {
            if let Some(earlier) = last.replace(value) {
                zeroize_message(earlier);
            }
        }
        if let Some(last) = last {
            zeroize_message(last);
        }
    }
}

impl HoldsValues for PutRequest {
    fn take_values(&mut self) -> impl Iterator<Item = Bytes> {
        self.lease_token = Bytes::new();
        [mem::take(&mut self.value)].into_iter()
    }
}

impl HoldsValues for BatchPutRequest {
    fn take_values(&mut self) -> impl Iterator<Item = Bytes> {
        let requests = self.requests.kept_mut();
        for request in &mut *requests {
            request.lease_token = Bytes::new();
        }
        requests.iter_mut().flat_map(PutRequest::take_values)
    }
}

/// Zeroes a message up to the end of this value, if nothing else of the message is left.
fn zeroize_message(value: Bytes) {
    let Ok(mut message) = value.try_into_mut() else {
        return;
    };
    message.zeroize();
    // Zeroes the bytes before the value, which are other values of a batch.
    let rest = message.capacity();
    message.clear();
    if message.try_reclaim(rest + 1) {
        message.resize(message.capacity() - rest, 0);
        message.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use credcache_traces::Mark;
    use prost::Message;
    use tonic::Request;

    use super::*;
    use crate::rpc::{
        proto::{credential_cache_service_server::CredentialCacheService, put_request::Lifetime},
        tests::service,
    };

    const VALUE: usize = 300;

    /// A Put of the value. If `is_refused`, the Put names a lease that was never granted, and the
    /// token's bytes share the message with the value's.
    fn put(mark: Mark, is_refused: bool) -> PutRequest {
        let hour = prost_types::Duration {
            seconds: 3600,
            nanos: 0,
        };
        PutRequest {
            namespace: "aws".into(),
            key: format!("{mark:?}"),
            value: mark.bytes(VALUE).to_vec().into(),
            lifetime: Some(Lifetime::Ttl(hour)),
            lease_token: vec![7; if is_refused { 16 } else { 0 }].into(),
            ..Default::default()
        }
    }

    /// The messages in a buffer that the decoder shares out, like the transport's.
    fn encoded(puts: Vec<PutRequest>, message: impl Fn(&[PutRequest], &mut BytesMut)) -> BytesMut {
        let mut buffer = BytesMut::with_capacity(8192);
        message(&puts, &mut buffer);
        for put in puts {
            put.value.try_into_mut().unwrap().zeroize();
        }
        buffer
    }

    #[tokio::test]
    async fn received_value_is_zeroed_whether_it_is_stored_or_refused() {
        let service = service();
        for (mark, is_refused) in [(Mark::new(1), false), (Mark::new(2), true)] {
            let puts = vec![put(mark, is_refused)];
            let message = encoded(puts, |puts, buffer| puts[0].encode(buffer).unwrap());
            let request = PutRequest::decode(message).unwrap();
            assert_eq!(mark.traces().unwrap(), 1, "the message's");
            let answer = service.put(Request::new(request)).await;
            assert_eq!(answer.is_err(), is_refused);
            let kept = usize::from(!is_refused);
            assert_eq!(mark.traces().unwrap(), kept, "the cache's own");
        }
    }

    #[tokio::test]
    async fn received_batch_is_zeroed_with_its_last_value() {
        let service = service();
        let marks = [3, 4, 5].map(Mark::new);
        let is_refused = [false, true, false];
        let puts = marks.into_iter().zip(is_refused);
        let puts = puts.map(|(mark, is_refused)| put(mark, is_refused));
        let message = encoded(puts.collect(), |puts, buffer| {
            for put in puts {
                // Encoded one after the other, they form the repeated field.
                prost::encoding::message::encode(1, put, buffer);
            }
        });
        let request = BatchPutRequest::decode(message).unwrap();
        let answer = service.batch_put(Request::new(request)).await.unwrap();
        assert_eq!(answer.into_inner().results.len(), marks.len());
        for (mark, is_refused) in marks.into_iter().zip(is_refused) {
            let kept = usize::from(!is_refused);
            assert_eq!(mark.traces().unwrap(), kept, "the cache's own");
        }
    }
}
