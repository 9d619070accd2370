//! The server's own decoder of batches beside prost's generated one: for any bytes, both read the
//! same message, or both fail.

use credcache::rpc as server;
use credcache_client::proto as generated;
use proptest::{
    collection::{hash_map, vec},
    prelude::*,
    sample::Index,
};
use prost::{Message, bytes::Bytes};

fn duration() -> impl Strategy<Value = Option<prost_types::Duration>> {
    let parts = (any::<i64>(), any::<i32>());
    proptest::option::of(
        parts.prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos }),
    )
}

prop_compose! {
    /// A BatchPut of one Put. Two of these in a row are a message of two Puts.
    fn batch_put()(
        namespace: String,
        key: String,
        value: Vec<u8>,
        refresh_before in duration(),
        // Beyond these, an item is refused.
        tags in vec(any::<String>(), 0..64),
        attributes in hash_map(any::<String>(), any::<String>(), 0..16),
        single_use: bool,
    ) -> Vec<u8> {
        let put = generated::PutRequest {
            namespace,
            key,
            value: Bytes::from(value),
            refresh_before,
            tags,
            attributes,
            single_use,
            ..Default::default()
        };
        generated::BatchPutRequest { requests: vec![put] }.encode_to_vec()
    }
}

prop_compose! {
    fn batch_get()(namespace: String, keys: Vec<String>, min_ttl in duration()) -> Vec<u8> {
        generated::BatchGetRequest { namespace, keys, min_ttl }.encode_to_vec()
    }
}

/// Messages in a row (which are a message too), with unknown fields or fields of the wrong type
/// between them, and some bytes changed.
fn encodings(message: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let odd_field = (0_u8..=6, 0_u8..8, vec(any::<u8>(), 0..4)).prop_map(|(tag, kind, bytes)| {
        let length = u8::try_from(bytes.len()).unwrap();
        let mut field = vec![tag << 3 | kind, length];
        field.extend(bytes);
        field
    });
    let parts = vec(prop_oneof![3 => message, 1 => odd_field], 0..4);
    let changes = vec((any::<Index>(), any::<u8>()), 0..3);
    (parts, changes).prop_map(|(parts, changes)| {
        let mut bytes = parts.concat();
        for (at, to) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
        }
        bytes
    })
}

/// Decodes with the server's type, encodes the result, and decodes that with the generated type.
fn by_server<Own: Message + Default, Twin: Message + Default>(bytes: &[u8]) -> Option<Twin> {
    let own = Own::decode(bytes).ok()?;
    let again = own.encode_to_vec();
    assert_eq!(again.len(), own.encoded_len());
    Some(Twin::decode(&again[..]).expect("what was written can be read"))
}

fn put_by_server(bytes: &[u8]) -> Option<generated::BatchPutRequest> {
    by_server::<server::BatchPutRequest, _>(bytes)
}

fn get_by_server(bytes: &[u8]) -> Option<generated::BatchGetRequest> {
    by_server::<server::BatchGetRequest, _>(bytes)
}

proptest! {
    #[test]
    fn batch_put_is_read_as_its_generated_twin(bytes in encodings(batch_put())) {
        let twin = generated::BatchPutRequest::decode(&bytes[..]).ok();
        prop_assert!(put_by_server(&bytes) == twin);
    }

    #[test]
    fn batch_get_is_read_as_its_generated_twin(bytes in encodings(batch_get())) {
        let twin = generated::BatchGetRequest::decode(&bytes[..]).ok();
        prop_assert_eq!(get_by_server(&bytes), twin);
    }
}

#[test]
fn bound_on_items_is_the_only_difference() {
    let key = [2 << 3 | 2, 1, b'k'];
    let put = [1 << 3 | 2, 3, 2 << 3 | 2, 1, b'k'];
    for (count, kept) in [(999, 999), (1000, 1000), (1001, 1000), (5000, 1000)] {
        let puts = put_by_server(&put.repeat(count)).unwrap();
        assert_eq!(puts.requests.len(), kept);
        assert!(puts.requests.iter().all(|put| put.key == "k"));
        let keys = get_by_server(&key.repeat(count)).unwrap();
        assert_eq!(keys.keys, vec!["k"; kept]);
    }
    // An item that is only counted still has to be complete and of its field's type.
    for wrong in [&[1 << 3, 0][..], &[1 << 3 | 2, 9], &[1 << 3 | 2]] {
        let bytes = [&put.repeat(1000)[..], wrong].concat();
        assert!(put_by_server(&bytes).is_none(), "{wrong:?}");
    }
    // Other fields are read wherever they are.
    let bytes = [&key.repeat(1500)[..], &[1 << 3 | 2, 1, b'n']].concat();
    assert_eq!(get_by_server(&bytes).unwrap().namespace, "n");
}

#[test]
fn cleared_message_is_as_new() {
    let mut put = server::BatchPutRequest::decode(&[1 << 3 | 2, 0][..]).unwrap();
    let mut get = server::BatchGetRequest::decode(&[2 << 3 | 2, 0][..]).unwrap();
    put.clear();
    get.clear();
    assert_eq!((put.encoded_len(), get.encoded_len()), (0, 0));
}
