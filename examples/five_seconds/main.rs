//! One 5-second tier: put, hit, wait, miss.
//!
//! Starts a server of its own, so there is nothing to prepare:
//! `cargo run --example five_seconds`

use std::{error::Error, future::pending, time::Duration};

use credcache::{
    config::{Config, ServeArgs},
    server,
};
use credcache_client::{Client, Lifetime, Lookup, Put, Secret};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what happens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = include_str!("credcache.toml");
    let config = Config::from_sources(Some(file), [], &ServeArgs::default())?;
    let app = server::app(&config)?;
    let bound = server::bind(&config).await?;
    let address = bound.addresses().next().ok_or("no address")?.to_string();
    let server = tokio::spawn(bound.run(app, pending()));

    let client = Client::connect(&address).await?;
    // An hour is asked for; the tier keeps nothing for longer than 5 seconds,
    // and the answer says so.
    let lifetime = Lifetime::Ttl(Duration::from_secs(3600));
    let put = Put::new("oauth", "user/42", Secret::new("eyJhbGciOi..."), lifetime);
    let stored = client.put(put).await?;
    println!("put: version {} in tier {}", stored.version, stored.tier);

    let Lookup::Hit(credential) = client.get("oauth", "user/42").await? else {
        return Err("a credential that was just put is missing".into());
    };
    let left = credential.remaining();
    println!(
        "get: a hit, {} bytes, {left:.1?} left",
        credential.value.expose().len()
    );

    println!("... waiting {left:.1?}");
    tokio::time::sleep(left).await;

    let Lookup::Miss(miss) = client.get("oauth", "user/42").await? else {
        return Err("a credential outlived its lifetime".into());
    };
    println!("get: a miss, {:?}", miss.reason);
    server.abort();
    Ok(())
}
