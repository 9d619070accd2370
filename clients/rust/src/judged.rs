//! The one way by which a credential leaves this crate.
//!
//! An answer grows old on its way, and a fetched credential while it is being
//! stored. Whatever came from a server or an issuer is [`Unjudged`] until the
//! instant at which it is returned: only [`Unjudged::judge`], which reads the
//! clock, takes the credential out.

use std::{borrow::Borrow, time::Duration};

use crate::{Answer, Credential, Lookup, Miss, MissReason};

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
    /// The credential, if it hasn't ended and at least `least_left` of its
    /// lifetime is left; else why not. To be called last, with no await between
    /// this and the return to the caller.
    pub(crate) fn judge(self, least_left: Duration) -> Result<C, MissReason> {
        let remaining = self.seen().remaining();
        if remaining.is_zero() {
            Err(MissReason::Expired)
        } else if remaining < least_left {
            Err(MissReason::TtlTooShort)
        } else {
            Ok(self.0)
        }
    }

    /// Whether it can't be handed out any more.
    pub(crate) fn is_late(&self, least_left: Duration) -> bool {
        let remaining = self.seen().remaining();
        remaining.is_zero() || remaining < least_left
    }

    /// For the crate's own use: what is kept, stored or compared, and judged
    /// before it is handed out.
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

impl<C: Borrow<Credential>> Lookup<Unjudged<C>> {
    /// Whether it is a hit that can't be handed out any more.
    pub(crate) fn is_late(&self, least_left: Duration) -> bool {
        matches!(self, Self::Hit(credential) if credential.is_late(least_left))
    }

    /// What to return: a hit that ended on its way is a miss.
    pub(crate) fn judge(self, least_left: Duration) -> Lookup<C> {
        match self {
            Self::Hit(credential) => match credential.judge(least_left) {
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

impl<C: Borrow<Credential>> Answer<Unjudged<C>> {
    /// What to return. A lease that came with it stays.
    pub(crate) fn judge(self, least_left: Duration) -> Answer<C> {
        Answer {
            lookup: self.lookup.judge(least_left),
            lease: self.lease,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secret, clock::BootInstant};

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
