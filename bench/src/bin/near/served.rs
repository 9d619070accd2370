//! A near cache as its users have it: before a server that runs, and full.

use std::{
    env,
    future::Future,
    io::{BufRead, BufReader},
    pin::pin,
    process::{Child, Command, Stdio},
    task::{Context, Poll, Waker},
    time::Duration,
};

use credcache_bench::lookups::FIRST;
use credcache_client::{Client, Lifetime, Lookup, NearCache, Put, Secret};
use tokio::task::JoinSet;

use crate::plain::NAMESPACE;

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // An error here means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Callers that fill it at the same time.
const FILLERS: usize = 32;

/// All of `keys` kept, with room for as many again.
pub(crate) async fn filled(keys: &[String]) -> Outcome<(Server, NearCache)> {
    let (server, address) = start()?;
    let client = Client::connect(&address).await?;
    let hour = Lifetime::Ttl(Duration::from_secs(3600));
    let puts = keys
        .iter()
        .map(|key| Put::new(NAMESPACE, key, Secret::new(vec![FIRST; 256]), hour));
    for stored in client.batch_put(puts.collect()).await {
        stored?;
    }
    let near = NearCache::builder(client)
        .namespace(NAMESPACE)
        .capacity(keys.len().max(1000) as u64 * 2048)
        .build();
    near.watching().await;
    let mut fillers = JoinSet::new();
    for part in keys.chunks(keys.len().div_ceil(FILLERS)) {
        let (part, near) = (part.to_vec(), near.clone());
        fillers.spawn(async move {
            for key in part {
                let lookup = near.get(NAMESPACE, &key).await?;
                lookup.hit().ok_or("a miss")?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(filled) = fillers.join_next().await {
        filled??;
    }
    Ok((server, near))
}

/// What `cached` finds.
pub(crate) fn cached(near: &NearCache, namespace: &str, key: &str) -> Option<u8> {
    near.cached(namespace, key)?.value.expose().first().copied()
}

/// What `get` answers at once.
pub(crate) fn get(near: &NearCache, namespace: &str, key: &str) -> Option<u8> {
    let get = pin!(near.get(namespace, key));
    let mut context = Context::from_waker(Waker::noop());
    match get.poll(&mut context) {
        Poll::Ready(Ok(Lookup::Hit(credential))) => credential.value.expose().first().copied(),
        _ => None,
    }
}

/// With room for all in the tier of an hour.
fn start() -> Outcome<(Server, String)> {
    let config = tempfile::NamedTempFile::new()?;
    std::fs::write(
        config.path(),
        "[[tier]]\nname = '1-hour'\nmax_ttl = '1h'\ncapacity = '1GiB'\n",
    )?;
    let mut server = Command::new(env::current_exe()?.with_file_name("credcache"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(config.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = server.stdout.take().ok_or("no output")?;
    let server = Server(server);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line.trim_end().strip_prefix("listening on ");
    Ok((server, address.ok_or("not listening")?.to_owned()))
}
