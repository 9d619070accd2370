//! The only way by which a credential leaves this crate.
//!
//! An answer grows old on its way, and a fetched credential while it is being stored.
//! A credential from a server or an issuer is [`Unjudged`] until the instant at which
//! it is returned: only [`Unjudged::judge`], which reads the clock, takes it out.

use std::{borrow::Borrow, sync::Arc, time::Duration};

use crate::{
    Error,
    clock::BootInstant,
    credential::Credential,
    lease::Lease,
    lookup::{Lookup, LookupResponse, Miss, MissReason},
    proto,
};

/// A credential that several holders share.
pub(crate) type SharedCredential = Unjudged<Arc<Credential>>;

/// A credential, owned or shared, that may have ended since it was received.
#[derive(Clone)]
pub(crate) struct Unjudged<C = Credential>(C);

impl<C> Unjudged<C> {
    pub(crate) fn new(credential: C) -> Self {
        Self(credential)
    }

    pub(crate) fn map<D>(self, wrap: impl FnOnce(C) -> D) -> Unjudged<D> {
        Unjudged(wrap(self.0))
    }
}

impl<C: Borrow<Credential>> Unjudged<C> {
    /// The credential, if it hasn't ended and at least `min_ttl` of its
    /// lifetime is left; else why not. To be called last, with no await between
    /// this and the return to the caller.
    pub(crate) fn judge(self, min_ttl: Duration) -> Result<C, MissReason> {
        let remaining = self.seen().remaining();
        if remaining.is_zero() {
            Err(MissReason::Expired)
        } else if remaining < min_ttl {
            Err(MissReason::TtlTooShort)
        } else {
            Ok(self.0)
        }
    }

    /// Whether the credential can't be returned any more.
    pub(crate) fn is_late(&self, min_ttl: Duration) -> bool {
        let remaining = self.seen().remaining();
        remaining.is_zero() || remaining < min_ttl
    }

    /// The credential for the crate's own use: to be cached, stored or compared, and
    /// judged before it is returned.
    pub(crate) fn inner(&self) -> &C {
        &self.0
    }

    pub(crate) fn inner_mut(&mut self) -> &mut C {
        &mut self.0
    }

    pub(crate) fn seen(&self) -> &Credential {
        self.0.borrow()
    }
}

impl Lookup<Unjudged> {
    pub(crate) fn parse(response: proto::GetResponse, sent: BootInstant) -> Result<Self, Error> {
        use proto::get_response::Outcome;
        match response.outcome {
            Some(Outcome::Credential(credential)) => {
                let credential = Credential::parse(credential, sent)?;
                Ok(Self::Hit(Unjudged::new(credential)))
            }
            Some(Outcome::Miss(miss)) => Miss::parse(miss).map(Self::Miss),
            None => Err(Error::Malformed("outcome is unset")),
        }
    }

    /// The result of one key of a batch.
    pub(crate) fn parse_result(
        result: proto::BatchGetResult,
        sent: BootInstant,
    ) -> Result<Self, Error> {
        use proto::{batch_get_result::Outcome, get_response::Outcome as Single};
        let outcome = result.outcome.map(|outcome| match outcome {
            Outcome::Credential(credential) => Single::Credential(credential),
            Outcome::Miss(miss) => Single::Miss(miss),
        });
        let lease = None;
        Self::parse(proto::GetResponse { outcome, lease }, sent)
    }
}

impl<C> Lookup<C> {
    /// Whether this is an answer. If the response to a batch had no room for the
    /// credential, the key has to be asked for again.
    pub(crate) fn has_room(&self) -> bool {
        !matches!(self, Self::Miss(miss) if miss.reason == MissReason::NoRoom)
    }
}

impl LookupResponse<Unjudged> {
    pub(crate) fn parse(
        mut response: proto::GetResponse,
        sent: BootInstant,
    ) -> Result<Self, Error> {
        let lease = response.lease.take().map(Lease::parse).transpose()?;
        Ok(Self {
            lookup: Lookup::parse(response, sent)?,
            lease,
        })
    }
}

impl<C: Borrow<Credential>> Lookup<Unjudged<C>> {
    /// Whether this is a hit that can't be returned any more.
    pub(crate) fn is_late(&self, min_ttl: Duration) -> bool {
        matches!(self, Self::Hit(credential) if credential.is_late(min_ttl))
    }

    /// The lookup to return: a hit that expired on its way is a miss.
    pub(crate) fn judge(self, min_ttl: Duration) -> Lookup<C> {
        match self {
            Self::Hit(credential) => match credential.judge(min_ttl) {
                Ok(credential) => Lookup::Hit(credential),
                Err(reason) => Lookup::Miss(Miss {
                    reason,
                    retry_after: None,
                }),
            },
            Self::Miss(miss) => Lookup::Miss(miss),
        }
    }
}

impl<C: Borrow<Credential>> LookupResponse<Unjudged<C>> {
    /// The response to return. A lease that came with the credential stays.
    pub(crate) fn judge(self, min_ttl: Duration) -> LookupResponse<C> {
        LookupResponse {
            lookup: self.lookup.judge(min_ttl),
            lease: self.lease,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    const SECOND: Duration = Duration::from_secs(1);

    fn with_left(left: Duration) -> Unjudged {
        let deadline = BootInstant::now().after(left);
        Unjudged::new(Credential::until(Secret::new("token"), deadline))
    }

    #[test]
    fn only_what_is_left_long_enough_is_handed_out() {
        assert!(with_left(60 * SECOND).judge(SECOND).is_ok());
        let short = with_left(SECOND).judge(60 * SECOND);
        assert_eq!(short.err(), Some(MissReason::TtlTooShort));
        let ended = with_left(Duration::ZERO).judge(Duration::ZERO);
        assert_eq!(ended.err(), Some(MissReason::Expired));
    }

    #[test]
    fn hit_that_ended_on_its_way_is_a_miss() {
        let hit = Lookup::Hit(with_left(Duration::ZERO));
        assert!(hit.is_late(Duration::ZERO));
        assert!(
            matches!(hit.judge(Duration::ZERO), Lookup::Miss(miss) if miss.reason == MissReason::Expired)
        );
    }
}
