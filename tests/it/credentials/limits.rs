//! Values at each bound are accepted, and values just beyond are refused.

use std::time::Duration;

use credcache_client::{Code, Error, Lifetime, Put, Secret};

use super::{hit, put, put_in, stored};
use crate::fixture::{Running, TWO_TIERS, config, within};

const MINUTE: Lifetime = Lifetime::Ttl(Duration::from_secs(60));

fn of_size(bytes: usize) -> Put {
    Put::new("aws", "reader", Secret::new(vec![7; bytes]), MINUTE)
}

#[tokio::test]
async fn value_up_to_the_limit_works_and_one_byte_more_leaves_it_alone() {
    for (tables, limit) in [("", 64 << 10), ("limits.max_value = '100B'\n", 100)] {
        let server = Running::start(&config(&format!("{tables}{TWO_TIERS}"))).await;
        let client = server.client().await;
        for size in [1, limit] {
            stored(&client, of_size(size)).await;
            assert_eq!(hit(&client, "reader").await.value.expose().len(), size);
        }
        for size in [0, limit + 1] {
            match within(client.put(of_size(size))).await {
                Err(Error::Refused(refusal)) => assert_eq!(refusal.code, Code::InvalidArgument),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(hit(&client, "reader").await.value.expose().len(), limit);
    }
}

#[tokio::test]
async fn longest_names_tags_and_attributes_work() {
    let server = Running::start(&config(TWO_TIERS)).await;
    let client = server.client().await;
    let minute = Duration::from_secs(60);
    // 1024 bytes in 512 characters.
    let key = "ä".repeat(512);
    let mut put = put(&key, minute).attribute("name", "x".repeat(4092));
    for tag in 0..16_u8 {
        put = put.tag(format!("{tag:0>128}"));
        // A repeated tag changes nothing.
        put = put.tag(format!("{tag:0>128}"));
    }
    stored(&client, put).await;
    assert_eq!(hit(&client, &key).await.attributes["name"].len(), 4092);

    let namespace = "0".to_owned() + &"-".repeat(62);
    stored(&client, put_in(&namespace, "reader", minute)).await;
    assert!(
        within(client.get(namespace, "reader"))
            .await
            .unwrap()
            .hit()
            .is_some()
    );
}
