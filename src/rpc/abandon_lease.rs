//! AbandonLease: the holder gives its lease back without a fill.

use std::time::Duration;

use super::{Service, fields::Fields, proto, status::Failure};
use credcache_core::{Name, Token};

struct AbandonLease<'a> {
    name: Name<'a>,
    token: Token,
    retry_after: Duration,
}

impl Service {
    pub(super) fn serve_abandon_lease(
        &self,
        request: &proto::AbandonLeaseRequest,
    ) -> Result<proto::AbandonLeaseResponse, Failure> {
        let AbandonLease {
            name,
            token,
            retry_after,
        } = parse(request)?;
        self.cache
            .abandon_lease(name, token, retry_after, self.clock.now())?;
        Ok(proto::AbandonLeaseResponse {})
    }
}

fn parse(request: &proto::AbandonLeaseRequest) -> Result<AbandonLease<'_>, Failure> {
    let mut fields = Fields::default();
    let name = fields.name(&request.namespace, &request.key);
    let token = fields.lease_token(&request.lease_token);
    let retry_after = fields.optional_duration("retry_after", request.retry_after);
    fields.finish(|| {
        Some(AbandonLease {
            name: name?,
            token: token?,
            retry_after: retry_after?.unwrap_or_default(),
        })
    })
}
