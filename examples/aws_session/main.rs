//! An AWS STS session: what AssumeRole answers goes into the `1-hour` tier
//! until its own `Expiration`, and is revoked by tag when the role is.
//!
//! Starts a server of its own, so there is nothing to prepare:
//! `cargo run --example aws_session`

use std::{
    error::Error,
    future::pending,
    time::{Duration, SystemTime},
};

use credcache::{
    config::{Config, ServeArgs},
    server,
};
use credcache_client::{Client, Lifetime, Lookup, Put, Secret, Target};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::123456789012:role/reports-reader";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what happens")]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::from_sources(Some("listen = ['127.0.0.1:0']"), [], &ServeArgs::default())?;
    let app = server::app(&config)?;
    let bound = server::bind(&config).await?;
    let address = bound.addresses().next().ok_or("no address")?.to_string();
    let server = tokio::spawn(bound.run(app, pending()));
    let client = Client::connect(&address).await?;

    let session = assume_role()?;
    let expiration = session["Expiration"].as_str().ok_or("no Expiration")?;
    let expires_at = humantime::parse_rfc3339(expiration)?;
    let put = Put::new(
        "aws",
        ROLE,
        Secret::new(session.to_string()),
        // The issuer says when it ends: no need to reckon with what has passed
        // since.
        Lifetime::ExpiresAt(expires_at),
    )
    .tag("account:123456789012")
    .tag("role:reports-reader")
    .attribute(
        "access_key_id",
        session["AccessKeyId"].as_str().unwrap_or_default(),
    )
    .attribute("region", "eu-central-1")
    .tier("1-hour");
    let stored = client.put(put).await?;
    println!("put: version {} in tier {}", stored.version, stored.tier);

    // Any service of the mesh, from now on.
    let Lookup::Hit(credential) = client.get("aws", ROLE).await? else {
        return Err("the session is missing".into());
    };
    let session: Value = serde_json::from_slice(credential.value.expose())?;
    println!(
        "get: {} for {}",
        session["AccessKeyId"], credential.attributes["region"]
    );
    let refresh_in = credential.refresh_at.duration_since(system_time())?;
    println!(
        "     {:.0?} left, to be fetched anew in {refresh_in:.0?}",
        credential.remaining()
    );

    // The role's policy has changed: every session of it has to go.
    let target = Target::Tag("role:reports-reader".into());
    let invalidated = client.invalidate("aws", target).await?;
    println!("invalidate: {} removed", invalidated.removed);
    let Lookup::Miss(miss) = client.get("aws", ROLE).await? else {
        return Err("a revoked session came back".into());
    };
    println!("get: a miss, {:?}", miss.reason);
    server.abort();
    Ok(())
}

/// What `sts:AssumeRole` answers, here without asking AWS.
fn assume_role() -> Result<Value, Box<dyn Error>> {
    let expiration = system_time() + Duration::from_secs(3600);
    Ok(json!({
        "AccessKeyId": "ASIAEXAMPLEEXAMPLE00",
        "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "SessionToken": "IQoJb3JpZ2luX2VjEXAMPLE",
        "Expiration": humantime::format_rfc3339_seconds(expiration).to_string(),
    }))
}

#[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
fn system_time() -> SystemTime {
    SystemTime::now()
}
