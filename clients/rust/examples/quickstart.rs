//! Puts a credential, reads it back and revokes it.
//!
//! Usage: `quickstart [ADDRESS]`, by default `127.0.0.1:50051`.

#![allow(clippy::print_stdout, reason = "printing is what an example does")]

use std::{env, time::Duration};

use credcache_client::{Client, Error, Lifetime, Lookup, Put, Secret, Target};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let address = env::args().nth(1);
    let client = Client::connect(address.as_deref().unwrap_or("127.0.0.1:50051")).await?;

    let token = Secret::new("the token the identity provider issued");
    let five_minutes = Lifetime::Ttl(Duration::from_secs(5 * 60));
    let put = Put::new("quickstart", "billing", token, five_minutes).attribute("issuer", "example");
    let stored = client.put(put).await?;
    println!("stored version {} in tier {}", stored.version, stored.tier);

    match client.get("quickstart", "billing").await? {
        Lookup::Hit(credential) => println!(
            "hit: {} bytes, good for {:?}",
            credential.value.expose().len(),
            credential.remaining()
        ),
        Lookup::Miss(miss) => println!("miss: {:?}", miss.reason),
    }

    let invalidated = client
        .invalidate("quickstart", Target::Key("billing".into()))
        .await?;
    println!("revoked {} credential", invalidated.removed);

    if let Lookup::Miss(miss) = client.get("quickstart", "billing").await? {
        println!("miss: {:?}", miss.reason);
    }
    Ok(())
}
