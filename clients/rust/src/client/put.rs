//! Storing a credential.
//!
//! Guarantees that no attempt lengthens a lifetime by the time that has passed since
//! the call of `put`, nor, as far as the server's clock is known, by the time that the
//! Put is under way.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Request};

use crate::{
    Client, Error,
    clock::BootInstant,
    error::Refusal,
    proto::{
        self,
        credential_cache_service_client::CredentialCacheServiceClient as Stub,
        put_request::{Lifetime as WireLifetime, Precondition},
    },
    put::{Put, Stored},
    retry::Delivery,
    server_clock::ServerClock,
    wire,
};

/// By how much a lifetime may have grown before the Put is corrected.
const MAX_GROWTH: Duration = Duration::from_millis(100);

/// A Put that the server has answered.
struct AnsweredPut {
    stored: Stored,
    /// By how much the lifetime may have grown, if it was sent as a relative one:
    /// by no more than the time that the answer took.
    growth: Option<Duration>,
}

impl Client {
    /// Stores a credential in place of whatever the key held.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use credcache_client::{Client, Lifetime, Put, Secret};
    ///
    /// # async fn example(client: Client) -> Result<(), credcache_client::Error> {
    /// let token = Secret::new("what the identity provider answers");
    /// let lifetime = Lifetime::Ttl(Duration::from_secs(900));
    /// let put = Put::new("oauth", "billing", token, lifetime).tag("prod");
    /// let stored = client.put(put).await?;
    /// println!("version {} in tier {}", stored.version, stored.tier);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A Put is executed once at most: it is retried only if the server certainly
    /// hasn't stored the credential, since a second attempt could restore what was
    /// revoked or replaced after the first. A Put under a lease is retried after a
    /// broken connection too: the server repeats its first answer. Every attempt
    /// asks for what is left of a relative lifetime; see
    /// [`Lifetime::Ttl`](crate::Lifetime::Ttl).
    ///
    /// # Errors
    ///
    /// Returns [`Error::Expired`] if nothing is left of a relative lifetime,
    /// [`Error::Refused`] if a field breaks a rule, a precondition isn't met, the
    /// lease was lost or the credential was revoked, and otherwise an [`Error`] that
    /// says whether the server may have stored the credential.
    ///
    /// # Cancel safety
    ///
    /// The server may still store the credential.
    pub async fn put(&self, put: Put) -> Result<Stored, Error> {
        let deadline = Instant::now() + self.timeout;
        let end = put.lifetime_end(BootInstant::now());
        let mut request = put.into_request();
        let known = &self.server_clock;
        let answered = match self.put_once(&request, end, known).await {
            // By the server's clock as it was known, the end may have passed.
            Err(Error::Refused(refusal))
                if is_about_the_end(&refusal) && self.knows_server_clock(end) =>
            {
                self.server_clock.forget();
                let client = self.until(deadline)?;
                // A clock of its own, whatever other calls learn meanwhile.
                client
                    .put_once(&request, end, &ServerClock::default())
                    .await?
            }
            answered => answered?,
        };
        if answered.growth.is_some_and(|growth| growth > MAX_GROWTH) && self.knows_server_clock(end)
        {
            request.lease_token.clear();
            request.precondition = Some(Precondition::IfVersion(answered.stored.version));
            if let Ok(client) = self.until(deadline)
                && let Ok(corrected) = client.put_once(&request, end, known).await
            {
                return Ok(corrected.stored);
            }
        }
        Ok(answered.stored)
    }

    async fn put_once(
        &self,
        request: &proto::PutRequest,
        end: Option<BootInstant>,
        known: &ServerClock,
    ) -> Result<AnsweredPut, Error> {
        let delivery = match request.lease_token.is_empty() {
            true => Delivery::AtMostOnce,
            false => Delivery::AtLeastOnce,
        };
        let ((ttl, response), sent) = self
            .call(
                delivery,
                || with_remaining_lifetime(request.clone(), end, known),
                |channel, request: Request<proto::PutRequest>| async move {
                    let ttl = sent_ttl(request.get_ref());
                    let response = Stub::new(channel).put(request).await?;
                    Ok(response.map(|response| (ttl, response)))
                },
            )
            .await?;
        let received = BootInstant::now();
        let stored = Stored::parse(response)?;
        let relative = ttl.filter(|_| end.is_some());
        if let Some(ttl) = relative {
            self.server_clock
                .ended_at(stored.expires_at, ttl, sent, received);
        }
        let growth = relative.map(|_| received.since(sent));
        Ok(AnsweredPut { stored, growth })
    }

    /// Whether the server's clock is known well enough to state the end of a
    /// relative lifetime.
    fn knows_server_clock(&self, end: Option<BootInstant>) -> bool {
        end.is_some_and(|end| self.server_clock.earliest(end).is_some())
    }
}

/// Whether a Put was refused because its end had passed.
fn is_about_the_end(refusal: &Refusal) -> bool {
    let mut violations = refusal.violations.iter();
    refusal.code == Code::InvalidArgument
        && violations.any(|violation| matches!(&*violation.field, "expires_at" | "lifetime"))
}

/// The request as it is sent now. A relative lifetime that ends at `end` is sent as
/// an end by the server's clock, or, if that clock isn't known, as what is left.
pub(super) fn with_remaining_lifetime(
    mut request: proto::PutRequest,
    end: Option<BootInstant>,
    server: &ServerClock,
) -> Result<proto::PutRequest, Error> {
    if let Some(end) = end {
        let left = end.since(BootInstant::now());
        if left.is_zero() {
            return Err(Error::Expired);
        }
        request.lifetime = Some(match server.earliest(end) {
            Some(end) => WireLifetime::ExpiresAt(end.into()),
            None => WireLifetime::Ttl(wire::span(left)),
        });
    }
    Ok(request)
}

/// The lifetime that is sent, if it is a relative one.
pub(super) fn sent_ttl(request: &proto::PutRequest) -> Option<Duration> {
    match request.lifetime {
        Some(WireLifetime::Ttl(ttl)) => wire::parse_span(Some(ttl), "ttl").ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{Lifetime, Secret};

    const HOUR: Duration = Duration::from_secs(3600);

    fn put(lifetime: Lifetime) -> Put {
        Put::new("aws", "role/reader", Secret::new("token"), lifetime)
    }

    fn sent(lifetime: Lifetime, left: Duration) -> Result<WireLifetime, Error> {
        let put = put(lifetime);
        let end = put.lifetime_end(BootInstant::now());
        let end = end.map(|_| BootInstant::now().after(left));
        let sent = with_remaining_lifetime(put.into_request(), end, &ServerClock::default())?;
        Ok(sent.lifetime.unwrap())
    }

    #[test]
    fn relative_lifetime_shrinks_by_the_time_that_passed() {
        let called = BootInstant::now();
        assert_eq!(
            put(Lifetime::Ttl(HOUR)).lifetime_end(called),
            Some(called.after(HOUR))
        );
        let fetched = put(Lifetime::Ttl(HOUR)).with_name("aws", "reader", called);
        assert_eq!(fetched.lifetime_end(called.after(HOUR)), Some(called));
        let WireLifetime::Ttl(left) = sent(Lifetime::Ttl(HOUR), HOUR / 2).unwrap() else {
            panic!("nothing is known of the server's clock");
        };
        let left = Duration::try_from(left).unwrap();
        assert!(left <= HOUR / 2 && left > HOUR / 4, "{left:?}");
    }

    #[test]
    fn relative_lifetime_is_sent_as_an_end_by_the_servers_clock_once_that_is_known() {
        let server = ServerClock::default();
        let now = BootInstant::now();
        let shown = SystemTime::UNIX_EPOCH + HOUR * 9;
        server.showed(shown, now, now);
        let put = put(Lifetime::Ttl(HOUR));
        let end = put.lifetime_end(now);
        let sent = with_remaining_lifetime(put.into_request(), end, &server).unwrap();
        let Some(WireLifetime::ExpiresAt(end)) = sent.lifetime else {
            panic!("the server's clock is known");
        };
        let end = SystemTime::try_from(end).unwrap();
        let short = (shown + HOUR).duration_since(end).unwrap();
        assert!(short < Duration::from_secs(1), "{short:?}");
    }

    #[test]
    fn lifetime_that_ended_is_not_sent() {
        let ended = sent(Lifetime::Ttl(HOUR), Duration::ZERO);
        assert!(matches!(ended, Err(Error::Expired)));
    }

    #[test]
    fn absolute_lifetime_is_left_alone() {
        let at = SystemTime::UNIX_EPOCH + HOUR;
        let lifetime = sent(Lifetime::ExpiresAt(at), Duration::ZERO).unwrap();
        assert!(lifetime == WireLifetime::ExpiresAt(at.into()));
    }
}
