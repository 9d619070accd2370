//! Gets a token by a fetch that one caller does for the whole mesh, and then
//! from the process's own memory, until it is revoked.
//!
//! Usage: `get_or_fetch [ADDRESS]`, by default `127.0.0.1:50051`. Without a
//! server there it fetches all the same.

#![allow(clippy::print_stdout, reason = "printing is what an example does")]

use std::{env, error::Error, io, time::Duration};

use credcache_client::{Address, Client, FetchError, Fetched, Lifetime, NearCache, Secret, Target};

/// Stands in for the identity provider.
async fn issue() -> Result<Fetched, FetchError<io::Error>> {
    println!("fetching");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let token = Secret::new("the token the identity provider issued");
    let fifteen_minutes = Lifetime::Ttl(Duration::from_secs(15 * 60));
    Ok(Fetched::new(token, fifteen_minutes).tag("example"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1);
    let address: Address = address.as_deref().unwrap_or("127.0.0.1:50051").parse()?;
    let client = Client::builder().connect_lazy(&address)?;

    // However many ask at once, here or anywhere in the mesh, one fetches.
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get_or_fetch("example", "billing", issue).await })
        })
        .collect();
    for caller in callers {
        let credential = caller.await??;
        println!("good for {:?}", credential.remaining());
    }

    let near = NearCache::builder(client.clone())
        .namespace("example")
        .build();
    let watching = tokio::time::timeout(Duration::from_secs(2), near.watching());
    if watching.await.is_err() {
        println!("no server at {address}: nothing is kept");
        return Ok(());
    }
    for _ in 0..3 {
        near.get_or_fetch("example", "billing", issue).await?;
    }
    println!("{:?}", near.stats("example"));

    let key = Target::Key("billing".into());
    client.invalidate("example", key).await?;
    near.get_or_fetch("example", "billing", issue).await?;
    Ok(())
}
