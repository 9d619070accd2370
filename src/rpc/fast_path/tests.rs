//! The fast path and the generated path, given the same requests.

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*, sample::select};
use prost::Message;
use tonic::Request;

use super::Method;
use crate::rpc::{
    fuzzing::{BatchGet, KEYS, agree, put, service},
    proto::{self, credential_cache_service_server::CredentialCacheService},
};

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(&KEYS[..]).prop_map(str::to_owned),
        1 => Just(String::new()),
        1 => "[a-zäß]{1,8}",
    ]
}

fn namespace() -> impl Strategy<Value = String> {
    prop_oneof![8 => Just("aws".to_owned()), 1 => Just(String::new()), 1 => "[A-Za-z-]{1,4}"]
}

fn duration() -> impl Strategy<Value = prost_types::Duration> {
    let seconds = prop_oneof![8 => 0..700_i64, 1 => any::<i64>()];
    let nanos = prop_oneof![8 => 0..10_i32, 1 => any::<i32>()];
    (seconds, nanos).prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos })
}

prop_compose! {
    fn get()(
        namespace in namespace(),
        key in key(),
        min_ttl in option::of(duration()),
        acquire_lease in any::<bool>(),
        wait in option::weighted(0.2, duration()),
        lease_ttl in option::weighted(0.2, duration()),
    ) -> Vec<u8> {
        proto::GetRequest { namespace, key, min_ttl, acquire_lease, wait, lease_ttl }
            .encode_to_vec()
    }
}

prop_compose! {
    fn batch_get()(
        namespace in namespace(),
        keys in vec(prop_oneof![20 => select(&KEYS[..]).prop_map(str::to_owned), 1 => key()], 0..20),
        min_ttl in option::of(duration()),
    ) -> Vec<u8> {
        BatchGet { namespace, keys, min_ttl }.encode_to_vec()
    }
}

fn request() -> impl Strategy<Value = (Method, Vec<u8>)> {
    let method = select(&[Method::Get, Method::BatchGet][..]);
    let sound = prop_oneof![get(), batch_get()];
    let damage = option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    let more = option::weighted(
        0.3,
        prop_oneof![get(), batch_get(), vec(any::<u8>(), 0..20)],
    );
    (method, sound, damage, more).prop_map(|(method, mut message, damage, more)| {
        if let Some((place, byte)) = damage
            && !message.is_empty()
        {
            *place.get_mut(&mut message) = byte;
        }
        message.extend(more.unwrap_or_default());
        (method, message)
    })
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// A lease that the generated path grants stays for the requests after it.
    #[test]
    fn both_ways_give_the_same_answers(requests in vec(request(), 1..40)) {
        RUNTIME.with(|runtime| runtime.block_on(async {
            let service = service().await;
            for (method, message) in requests {
                // Otherwise, the generated path would wait for a lease.
                service.ending().cancel();
                agree(&service, method, &message).await;
            }
        }));
    }
}

#[tokio::test]
async fn what_clients_send_for_a_look_takes_the_fast_path() {
    let service = service().await;
    let get = |key: &str, acquire_lease| {
        let request = proto::GetRequest {
            namespace: "aws".into(),
            key: key.into(),
            min_ttl: Some(prost_types::Duration {
                seconds: 60,
                nanos: 1,
            }),
            acquire_lease,
            wait: None,
            lease_ttl: Some(prost_types::Duration {
                seconds: 3,
                nanos: 0,
            }),
        };
        request.encode_to_vec()
    };
    for key in KEYS {
        assert!(
            agree(&service, Method::Get, &get(key, false)).await,
            "{key}"
        );
    }
    for (key, is_hit) in [
        ("live", true),
        ("tagged", true),
        ("bare", true),
        ("due", false),
        ("revoked", false),
        ("none", false),
    ] {
        let answered = service.answer_fast(Method::Get, &get(key, true)).is_some();
        assert_eq!(answered, is_hit, "{key}");
    }
    let batch = BatchGet {
        namespace: "aws".into(),
        keys: KEYS.map(str::to_owned).into(),
        min_ttl: None,
    };
    assert!(agree(&service, Method::BatchGet, &batch.encode_to_vec()).await);
}

#[tokio::test]
async fn batch_beyond_the_room_of_a_message_is_left_to_the_generated_path() {
    let service = service().await;
    let keys: Vec<_> = (0..6).map(|nth| format!("large{nth}")).collect();
    for key in &keys {
        let request = proto::PutRequest {
            value: Bytes::from(vec![1; 1 << 20]),
            ..put(key, 500)
        };
        service.put(Request::new(request)).await.unwrap();
    }
    let mut keys = keys;
    keys.insert(5, "live".into());
    let batch = BatchGet {
        namespace: "aws".into(),
        keys,
        min_ttl: None,
    };
    assert!(!agree(&service, Method::BatchGet, &batch.encode_to_vec()).await);
}
