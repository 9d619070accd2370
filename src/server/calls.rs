//! Who answers calls: the fast path, or the generated service.

use std::{sync::Arc, time::Duration};

use http::{Request, Response, request::Parts};
use tonic::{body::Body, service::Routes};
use tower::Service as _;

use super::{
    call_policy::{CallPolicy, Unfit, with_contract_code},
    methods::{Methods, Requests},
    timeouts::Timeouts,
};
use crate::rpc::{self, MessageLimits, Refusal, fast_path::Method};

/// Answers calls; shared by all connections.
#[derive(Clone, Debug)]
pub(super) struct Calls(Arc<Paths>);

#[derive(Debug)]
struct Paths {
    fast: rpc::Service,
    generated: Routes,
    policy: CallPolicy,
    methods: Methods,
    timeouts: Timeouts,
}

/// A call that is to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    /// The time that the caller gives the call.
    pub(super) timeout: Option<Duration>,
    /// The method, if it has a fast path.
    pub(super) fast: Option<Method>,
    /// What its request is.
    pub(super) requests: Requests,
    pub(super) limits: MessageLimits,
}

impl Calls {
    /// `generated` answers whatever `fast` doesn't.
    pub(super) fn new(
        fast: rpc::Service,
        generated: Routes,
        policy: CallPolicy,
        methods: Methods,
        timeouts: Timeouts,
    ) -> Self {
        Self(Arc::new(Paths {
            fast,
            generated,
            policy,
            methods,
            timeouts,
        }))
    }

    /// Decides by its headers whether a call is to be answered.
    ///
    /// # Errors
    /// The call is not admitted.
    pub(super) fn admit(&self, head: &Parts) -> Result<Admitted, Unfit> {
        let timeout = self.0.policy.judge(head)?;
        let path = head.uri.path();
        let fast = Method::of_path(path);
        let requests = match fast {
            Some(_) => Requests::One,
            None => self
                .0
                .methods
                .requests(path)
                .ok_or(Refusal::MethodUnknown)?,
        };
        Ok(Admitted {
            timeout,
            fast,
            requests,
            limits: rpc::Service::message_limits(path),
        })
    }

    /// The service behind the fast path.
    pub(super) fn fast(&self) -> &rpc::Service {
        &self.0.fast
    }

    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.0.timeouts
    }

    /// Lets the generated service answer.
    ///
    /// # Cancel safety
    /// Dropping the future drops the call.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let answer = self.0.generated.clone().call(request).await;
        let Ok(response) = answer;
        with_contract_code(response)
    }
}
