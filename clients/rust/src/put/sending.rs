//! How a Put is sent.
//!
//! Guarantees that no attempt lengthens a lifetime by the time that has passed
//! since the Put was called, and, as far as the server's clock is known, by the
//! time that it is under way.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Request;

use super::{Put, Stored};
use crate::{
    Client, Code, Error, Refusal,
    clock::BootInstant,
    proto::{
        self,
        credential_cache_service_client::CredentialCacheServiceClient as Stub,
        put_request::{Lifetime as Wire, Precondition},
    },
    retry::Delivery,
    server_clock::ServerClock,
    wire,
};

/// By how much a lifetime may have grown before that is put right.
const MOST_GROWN: Duration = Duration::from_millis(100);

/// What one Put came to.
struct Sent {
    stored: Stored,
    /// The relative lifetime that was sent, and how long the answer took: the
    /// lifetime has grown by no more than that.
    grown: Option<Duration>,
}

impl Client {
    /// Stores a credential in place of whatever the key held.
    ///
    /// Carried out once at most: retried only if the server certainly hasn't
    /// stored it, lest a second attempt bring back what was revoked or replaced
    /// since the first. A Put under a lease is retried after a broken connection
    /// too: the server answers again what it answered. Every attempt asks for what is left of a relative
    /// lifetime; [`Error::LifetimeEnded`] if that is nothing.
    /// [`Lifetime::Ttl`](crate::Lifetime::Ttl) says when that is sent as an end.
    pub async fn put(&self, put: Put) -> Result<Stored, Error> {
        let deadline = Instant::now() + self.timeout;
        let ends = put.ends(BootInstant::now());
        let mut request = put.into_request();
        let known = &self.server_clock;
        let sent = match self.put_once(&request, ends, known).await {
            // By the server's clock as it was known, the end may have passed.
            Err(Error::Refused(refusal))
                if is_about_the_end(&refusal) && self.knew_its_clock(ends) =>
            {
                self.server_clock.forget();
                let left = self.until(deadline)?;
                // Whatever is heard of the clock meanwhile.
                left.put_once(&request, ends, &ServerClock::default())
                    .await?
            }
            sent => sent?,
        };
        if sent.grown.is_some_and(|grown| grown > MOST_GROWN) && self.knew_its_clock(ends) {
            request.lease_token.clear();
            request.precondition = Some(Precondition::IfVersion(sent.stored.version));
            if let Ok(left) = self.until(deadline)
                && let Ok(right) = left.put_once(&request, ends, known).await
            {
                return Ok(right.stored);
            }
        }
        Ok(sent.stored)
    }

    async fn put_once(
        &self,
        request: &proto::PutRequest,
        ends: Option<BootInstant>,
        known: &ServerClock,
    ) -> Result<Sent, Error> {
        let delivery = match request.lease_token.is_empty() {
            true => Delivery::AtMostOnce,
            false => Delivery::AtLeastOnce,
        };
        let ((ttl, response), sent) = self
            .call(
                delivery,
                || aged(request.clone(), ends, known),
                |channel, request: Request<proto::PutRequest>| async move {
                    let ttl = sent_ttl(request.get_ref());
                    let response = Stub::new(channel).put(request).await?;
                    Ok(response.map(|response| (ttl, response)))
                },
            )
            .await?;
        let received = BootInstant::now();
        let stored = Stored::parse(response)?;
        let relative = ttl.filter(|_| ends.is_some());
        if let Some(ttl) = relative {
            self.server_clock
                .ended_at(stored.expires_at, ttl, sent, received);
        }
        let grown = relative.map(|_| received.since(sent));
        Ok(Sent { stored, grown })
    }

    fn knew_its_clock(&self, ends: Option<BootInstant>) -> bool {
        ends.is_some_and(|ends| self.server_clock.earliest(ends).is_some())
    }

    /// The same client, with what is left until `deadline` for its timeout.
    pub(crate) fn until(&self, deadline: Instant) -> Result<Self, Error> {
        match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::DeadlineExceeded),
            left => Ok(self.with_timeout(left)),
        }
    }
}

/// Whether a Put was refused because its end had passed.
fn is_about_the_end(refusal: &Refusal) -> bool {
    let mut violations = refusal.violations.iter();
    refusal.code == Code::InvalidArgument
        && violations.any(|violation| matches!(&*violation.field, "expires_at" | "lifetime"))
}

/// The request as it is sent now, with a relative lifetime that ends at `ends`:
/// its end by the server's clock, or, if that isn't known, what is left.
pub(crate) fn aged(
    mut request: proto::PutRequest,
    ends: Option<BootInstant>,
    server: &ServerClock,
) -> Result<proto::PutRequest, Error> {
    if let Some(ends) = ends {
        let left = ends.since(BootInstant::now());
        if left.is_zero() {
            return Err(Error::LifetimeEnded);
        }
        request.lifetime = Some(match server.earliest(ends) {
            Some(end) => Wire::ExpiresAt(end.into()),
            None => Wire::Ttl(wire::span(left)),
        });
    }
    Ok(request)
}

/// The relative lifetime that is sent, if it is one.
pub(crate) fn sent_ttl(request: &proto::PutRequest) -> Option<Duration> {
    match request.lifetime {
        Some(Wire::Ttl(ttl)) => wire::parse_span(Some(ttl), "ttl").ok(),
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

    fn sent(lifetime: Lifetime, left: Duration) -> Result<Wire, Error> {
        let put = put(lifetime);
        let ends = put.ends(BootInstant::now());
        let ends = ends.map(|_| BootInstant::now().after(left));
        let sent = aged(put.into_request(), ends, &ServerClock::default())?;
        Ok(sent.lifetime.unwrap())
    }

    #[test]
    fn relative_lifetime_shrinks_by_the_time_that_passed() {
        let called = BootInstant::now();
        assert_eq!(
            put(Lifetime::Ttl(HOUR)).ends(called),
            Some(called.after(HOUR))
        );
        let fetched = put(Lifetime::Ttl(HOUR)).with_place("aws", "reader", called);
        assert_eq!(fetched.ends(called.after(HOUR)), Some(called));
        let Wire::Ttl(left) = sent(Lifetime::Ttl(HOUR), HOUR / 2).unwrap() else {
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
        let ends = put.ends(now);
        let sent = aged(put.into_request(), ends, &server).unwrap();
        let Some(Wire::ExpiresAt(end)) = sent.lifetime else {
            panic!("the server's clock is known");
        };
        let end = SystemTime::try_from(end).unwrap();
        let short = (shown + HOUR).duration_since(end).unwrap();
        assert!(short < Duration::from_secs(1), "{short:?}");
    }

    #[test]
    fn lifetime_that_ended_is_not_sent() {
        let ended = sent(Lifetime::Ttl(HOUR), Duration::ZERO);
        assert!(matches!(ended, Err(Error::LifetimeEnded)));
    }

    #[test]
    fn absolute_lifetime_is_left_alone() {
        let at = SystemTime::UNIX_EPOCH + HOUR;
        let lifetime = sent(Lifetime::ExpiresAt(at), Duration::ZERO).unwrap();
        assert!(lifetime == Wire::ExpiresAt(at.into()));
    }
}
