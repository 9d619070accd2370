//! Many Puts in one call, in as many messages as they take.
//!
//! Guarantees results in the order of the Puts, however they were divided, and for
//! each Put what holds for a single one.

mod chunk;

use tokio::time::Instant;

use crate::{
    Client, Error,
    clock::BootInstant,
    error::copies::copies,
    put::{Put, Stored},
    retry::Delivery,
};
use chunk::Chunk;

impl Client {
    /// Stores each credential as [`put`](Self::put) would, one after the other.
    /// Returns what was stored, or why it wasn't, in the order of the Puts.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use credcache_client::{Client, Lifetime, Put, Secret};
    ///
    /// # async fn example(client: Client) {
    /// let lifetime = Lifetime::Ttl(Duration::from_secs(900));
    /// let put = |key: &str| Put::new("oauth", key, Secret::new("a token"), lifetime);
    /// for stored in client.batch_put(vec![put("billing"), put("orders")]).await {
    ///     match stored {
    ///         Ok(stored) => println!("version {}", stored.version),
    ///         Err(error) => println!("not stored: {error}"),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// More than 1000 Puts, or more than 4 MiB of them, take more than one message,
    /// all within the timeout of one call. Each message is executed once at most.
    ///
    /// # Errors
    ///
    /// Each Put has a result of its own. The error of a message is returned for each
    /// of its Puts. If the server can't be reached any more, or the timeout has
    /// passed, the error is returned for all later Puts too: they aren't sent.
    ///
    /// # Cancel safety
    ///
    /// The server may still store the credentials of the message that is under way;
    /// later messages aren't sent.
    pub async fn batch_put(&self, puts: Vec<Put>) -> Vec<Result<Stored, Error>> {
        let called = BootInstant::now();
        let deadline = Instant::now() + self.timeout;
        let mut left = puts.len();
        let mut results = Vec::with_capacity(left);
        for chunk in chunk::divide(puts, called) {
            let count = chunk.len();
            match self.put_chunk(deadline, chunk).await {
                Ok(stored) => results.extend(stored),
                // The chunks that are left could overtake one that may still be on
                // its way.
                Err(error) if ends_the_batch(&error) => {
                    results.extend(copies(error, left).map(Err));
                    break;
                }
                Err(error) => results.extend(copies(error, count).map(Err)),
            }
            left -= count;
        }
        results
    }

    async fn put_chunk(
        &self,
        deadline: Instant,
        chunk: Chunk,
    ) -> Result<Vec<Result<Stored, Error>>, Error> {
        let ((ttl, included, response), sent) = self
            .until(deadline)?
            .call(
                Delivery::AtMostOnce,
                || chunk.message(&self.server_clock),
                chunk::send,
            )
            .await?;
        let received = BootInstant::now();
        let results = chunk::parse(&included, response)?;
        // The first Put's answer says as much of the clock as any other.
        let first = included.iter().position(|included| *included);
        let first = first.and_then(|first| results.get(first));
        if let (Some(ttl), Some(Ok(stored))) = (ttl, first) {
            self.server_clock
                .ended_at(stored.expires_at, ttl, sent, received);
        }
        Ok(results)
    }
}

/// Whether the next message would fare no better, or might overtake this one.
fn ends_the_batch(error: &Error) -> bool {
    error.unavailable().is_some() || matches!(error, Error::DeadlineExceeded)
}
