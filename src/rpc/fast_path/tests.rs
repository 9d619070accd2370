//! The fast path and the generated path, asked the same.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*, sample::select};
use prost::Message;
use tonic::{Request, Status};

use super::Method;
use credcache_core::{BootTime, Cache, Limits, Now, TierSpec, WallTime};

use crate::{
    clock::Clock,
    rpc::{
        Instance, Service,
        proto::{
            self, BatchGetResponse, GetResponse, credential_cache_service_server::*, put_request,
        },
    },
};

const KEYS: [&str; 7] = ["live", "tagged", "bare", "due", "short", "gone", "none"];

fn at(seconds: u64) -> Now {
    Now {
        wall: WallTime::from_unix(Duration::new(2_000_000_000 + seconds, 123)),
        boot: BootTime::from_boot(Duration::from_secs(1_000 + seconds)),
    }
}

fn put(key: &str, ttl: i64) -> proto::PutRequest {
    let ttl = prost_types::Duration {
        seconds: ttl,
        nanos: 5,
    };
    proto::PutRequest {
        namespace: "aws".into(),
        key: key.into(),
        value: Bytes::from_static(b"token"),
        lifetime: Some(put_request::Lifetime::Ttl(ttl)),
        ..Default::default()
    }
}

/// A service of which every key of [`KEYS`] has a fate of its own.
async fn service() -> Service {
    let tiers = [("minutes", 600), ("hours", 36_000)].map(|(name, seconds)| TierSpec {
        name: name.into(),
        max_ttl: Duration::from_secs(seconds),
        capacity: 256 << 20,
    });
    let limits = Limits {
        max_value: 1 << 20,
        ..Limits::DEFAULT
    };
    let clock = Arc::new(Clock::manual(at(0)));
    let cache = Arc::new(Cache::new(tiers.into(), limits).unwrap());
    let instance = Instance::new(at(0).wall).unwrap();
    let service = Service::new(cache, clock.clone(), instance);
    let puts = [
        proto::PutRequest {
            value: Bytes::from(vec![7; 1000]),
            attributes: [("region", "eu"), ("empty", ""), ("", "nameless")]
                .map(|(name, text)| (name.into(), text.into()))
                .into(),
            tags: ["tag", "a", "z", "tag"].map(String::from).into(),
            ..put("live", 5_000)
        },
        proto::PutRequest {
            tags: (10..26)
                .map(|nth| format!("{nth}{}", "t".repeat(126)))
                .collect(),
            ..put("tagged", 4_000)
        },
        put("bare", 400),
        proto::PutRequest {
            value: Bytes::from_static(b"token"),
            refresh_before: Some(prost_types::Duration {
                seconds: 400,
                nanos: 0,
            }),
            ..put("due", 400)
        },
        put("short", 100),
        put("gone", 40),
    ];
    for request in puts {
        service.put(Request::new(request)).await.unwrap();
    }
    clock.set(at(50));
    service
}

/// What the generated path answers, from the request's bytes on.
async fn generated(
    service: &Service,
    method: Method,
    message: &[u8],
) -> Result<Result<Decoded, Status>, prost::DecodeError> {
    Ok(match method {
        Method::Get => {
            let request = proto::GetRequest::decode(message)?;
            let response = service.get(Request::new(request)).await;
            response.map(|response| Decoded::Get(response.into_inner().into()))
        }
        Method::BatchGet => {
            let request = proto::BatchGetRequest::decode(message)?;
            let response = service.batch_get(Request::new(request)).await;
            response.map(|response| Decoded::BatchGet(response.into_inner()))
        }
    })
}

#[derive(PartialEq)]
enum Decoded {
    Get(Box<GetResponse>),
    BatchGet(BatchGetResponse),
}

impl Decoded {
    /// Reads a framed response; it must be one message and nothing else.
    fn decode(method: Method, framed: &[u8]) -> Self {
        let (head, message) = framed.split_first_chunk::<5>().unwrap();
        assert_eq!(head[0], 0);
        assert_eq!(
            head[1..],
            u32::try_from(message.len()).unwrap().to_be_bytes()
        );
        match method {
            Method::Get => Self::Get(GetResponse::decode(message).unwrap().into()),
            Method::BatchGet => Self::BatchGet(BatchGetResponse::decode(message).unwrap()),
        }
    }
}

/// Asks both; whether the fast path had an answer.
async fn agree(service: &Service, method: Method, message: &[u8]) -> bool {
    let counted = |from: &Service| from.cache.counts(None);
    let before = counted(service);
    let Some(framed) = service.answer_fast(method, message) else {
        assert!(counted(service) == before, "counted, and not answered");
        return false;
    };
    let fast = counted(service);
    let generated = generated(service, method, message).await;
    let generated = generated
        .expect("what was answered can be decoded")
        .expect("what was answered is no error");
    assert!(Decoded::decode(method, &framed) == generated);
    let rise = |count| fast.of(count) - before.of(count);
    let again = counted(service);
    for count in [
        credcache_core::Count::NotFound,
        credcache_core::Count::Expired,
        credcache_core::Count::TtlTooShort,
    ] {
        assert_eq!(again.of(count) - fast.of(count), rise(count));
    }
    true
}

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

/// The fields of a BatchGet, as a client encodes them.
#[derive(Clone, PartialEq, Message)]
struct BatchGet {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, repeated, tag = "2")]
    keys: Vec<String>,
    #[prost(message, optional, tag = "3")]
    min_ttl: Option<prost_types::Duration>,
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
                // Else the generated path would wait for a lease.
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
