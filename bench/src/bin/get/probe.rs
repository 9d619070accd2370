//! Whether the answers are right: h2load can't see a grpc-status or read a
//! message, so the generated client looks at one before and after, and at the
//! server's own count of hits.

use credcache_bench::proto::{
    GetRequest, GetResponse, PutRequest, StatsRequest,
    credential_cache_service_client::CredentialCacheServiceClient, get_response::Outcome,
    put_request::Lifetime,
};
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};

use crate::error::BenchError;

/// Bytes of the stored value.
pub(crate) const VALUE_LEN: usize = 1024;

/// What every request of the load asks for.
pub(crate) fn get_request() -> GetRequest {
    GetRequest {
        namespace: "bench".to_owned(),
        key: "aws/123456789012/role/payments-reader/eu".to_owned(),
        ..GetRequest::default()
    }
}

/// A caller of one server.
pub(crate) struct Probe {
    runtime: Runtime,
    client: CredentialCacheServiceClient<Channel>,
}

impl Probe {
    pub(crate) fn connect(address: &str) -> Result<Self, BenchError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let endpoint = Endpoint::new(format!("http://{address}"))?;
        let channel = runtime.block_on(endpoint.connect())?;
        let client = CredentialCacheServiceClient::new(channel);
        Ok(Self { runtime, client })
    }

    /// Stores the credential of the measurement; the answer to its Get.
    pub(crate) fn put_and_get(&self) -> Result<GetResponse, BenchError> {
        let GetRequest { namespace, key, .. } = get_request();
        let put = PutRequest {
            namespace,
            key,
            value: value().into(),
            lifetime: Some(Lifetime::Ttl(prost_types::Duration {
                seconds: 3600,
                nanos: 0,
            })),
            attributes: [("region".to_owned(), "eu-central-1".to_owned())].into(),
            ..PutRequest::default()
        };
        self.runtime.block_on(self.client.clone().put(put))?;
        self.check_get()
    }

    /// A Get whose answer holds the value and every field that a server fills.
    pub(crate) fn check_get(&self) -> Result<GetResponse, BenchError> {
        let answer = self
            .runtime
            .block_on(self.client.clone().get(get_request()))?
            .into_inner();
        let wrong = |what: &str| Err(BenchError::WrongAnswer(what.to_owned()));
        let Some(Outcome::Credential(credential)) = &answer.outcome else {
            return wrong("a miss");
        };
        if credential.value != value() {
            return wrong("another value than was put");
        }
        if credential.expires_at.is_none()
            || credential.ttl.is_none()
            || credential.refresh_at.is_none()
            || credential.version == 0
            || credential.tier.is_empty()
            || credential.attributes.len() != 1
        {
            return wrong("a field is missing");
        }
        Ok(answer)
    }

    /// Hits that the server has counted.
    pub(crate) fn hits(&self) -> Result<u64, BenchError> {
        let stats = self
            .runtime
            .block_on(self.client.clone().stats(StatsRequest::default()))?;
        Ok(stats.into_inner().hits)
    }
}

/// Every request has to have been a hit, and nothing else may have been one.
pub(crate) fn expect_hits(requests: u64, hits: u64) -> Result<(), BenchError> {
    if hits == requests {
        Ok(())
    } else {
        Err(BenchError::WrongAnswer(format!(
            "{hits} hits counted for {requests} requests"
        )))
    }
}

fn value() -> Vec<u8> {
    (0..=u8::MAX).cycle().take(VALUE_LEN).collect()
}
