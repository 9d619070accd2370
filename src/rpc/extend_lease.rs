//! ExtendLease: the holder is still fetching.

use std::time::Duration;

use super::{Service, fields::Fields, proto, status::Failure, times::duration};
use credcache_core::{Name, Token};

struct ExtendLease<'a> {
    name: Name<'a>,
    token: Token,
    lease_ttl: Option<Duration>,
}

impl Service {
    pub(super) fn serve_extend_lease(
        &self,
        request: &proto::ExtendLeaseRequest,
    ) -> Result<proto::ExtendLeaseResponse, Failure> {
        let ExtendLease {
            name,
            token,
            lease_ttl,
        } = parse(request)?;
        let left = self
            .cache
            .extend_lease(name, token, lease_ttl, self.clock.now())?;
        Ok(proto::ExtendLeaseResponse {
            ttl: Some(duration(left)),
        })
    }
}

fn parse(request: &proto::ExtendLeaseRequest) -> Result<ExtendLease<'_>, Failure> {
    let mut fields = Fields::default();
    let name = fields.name(&request.namespace, &request.key);
    let token = fields.lease_token(&request.lease_token);
    let lease_ttl = fields.lease_ttl(request.lease_ttl);
    fields.finish(|| {
        Some(ExtendLease {
            name: name?,
            token: token?,
            lease_ttl: lease_ttl?,
        })
    })
}
