//! The generated client: fills a server, and tells whether its answers are
//! right, for h2load can't see a grpc-status or read a message. It looks at one
//! answer before and after, and at what the server has counted.

use std::collections::HashMap;

use credcache_bench::proto::{
    BatchGetRequest, BatchGetResponse, BatchPutRequest, GetRequest, GetResponse, PutRequest,
    StatsRequest, StatsResponse, batch_get_result, batch_put_result,
    credential_cache_service_client::CredentialCacheServiceClient, get_response::Outcome,
    put_request::Lifetime,
};
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};

use crate::failure::Failure;

pub(crate) const NAMESPACE: &str = "bench";
/// Of the one credential, where one is enough.
pub(crate) const KEY: &str = "aws/123456789012/role/payments-reader/eu";
const BATCH: usize = 1000;

/// A caller of one server.
pub(crate) struct Probe {
    runtime: Runtime,
    client: CredentialCacheServiceClient<Channel>,
}

impl Probe {
    pub(crate) fn connect(address: &str) -> Result<Self, Failure> {
        // A thread of its own answers the server's pings between the calls, of
        // which one may come long after the other.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let endpoint = Endpoint::new(format!("http://{address}"))?;
        let channel = runtime.block_on(endpoint.connect())?;
        let client = CredentialCacheServiceClient::new(channel).max_decoding_message_size(1 << 24);
        Ok(Self { runtime, client })
    }

    pub(crate) fn put(&self, put: PutRequest) -> Result<(), Failure> {
        self.runtime.block_on(self.client.clone().put(put))?;
        Ok(())
    }

    /// Stores all, a thousand in a call; an error if one isn't.
    pub(crate) fn put_all(
        &self,
        puts: impl IntoIterator<Item = PutRequest>,
    ) -> Result<(), Failure> {
        let mut puts = puts.into_iter();
        loop {
            let requests: Vec<_> = puts.by_ref().take(BATCH).collect();
            if requests.is_empty() {
                return Ok(());
            }
            let mut client = self.client.clone();
            let call = client.batch_put(BatchPutRequest { requests });
            let answer = self.runtime.block_on(call)?;
            for result in answer.into_inner().results {
                if !matches!(result.outcome, Some(batch_put_result::Outcome::Response(_))) {
                    return wrong("a Put was refused");
                }
            }
        }
    }

    /// A Get whose answer holds this value, and every field that a server fills.
    pub(crate) fn check_get(&self, key: &str, value: &[u8]) -> Result<GetResponse, Failure> {
        let mut client = self.client.clone();
        let call = client.get(get_request(key));
        let answer = self.runtime.block_on(call)?.into_inner();
        let Some(Outcome::Credential(credential)) = &answer.outcome else {
            return wrong("a miss");
        };
        if credential.value != value {
            return wrong("another value than was put");
        }
        if credential.expires_at.is_none()
            || credential.ttl.is_none()
            || credential.refresh_at.is_none()
            || credential.version == 0
            || credential.tier.is_empty()
        {
            return wrong("a field is missing");
        }
        Ok(answer)
    }

    /// A BatchGet that finds this value under every key.
    pub(crate) fn check_batch(
        &self,
        request: BatchGetRequest,
        value: &[u8],
    ) -> Result<BatchGetResponse, Failure> {
        let keys = request.keys.len();
        let mut client = self.client.clone();
        let call = client.batch_get(request);
        let answer = self.runtime.block_on(call)?.into_inner();
        let good = |result: &credcache_bench::proto::BatchGetResult| match &result.outcome {
            Some(batch_get_result::Outcome::Credential(credential)) => credential.value == value,
            _ => false,
        };
        if answer.results.len() == keys && answer.results.iter().all(good) {
            Ok(answer)
        } else {
            wrong("a batch with a miss or another value")
        }
    }

    pub(crate) fn stats(&self) -> Result<StatsResponse, Failure> {
        let mut client = self.client.clone();
        let call = client.stats(StatsRequest::default());
        Ok(self.runtime.block_on(call)?.into_inner())
    }

    /// Runs a load during which `counter` has to grow by exactly `by`.
    pub(crate) fn counting<T>(
        &self,
        counter: impl Fn(&StatsResponse) -> u64,
        by: u64,
        load: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let before = counter(&self.stats()?);
        let outcome = load()?;
        let grown = counter(&self.stats()?) - before;
        if grown == by {
            Ok(outcome)
        } else {
            Err(Failure::WrongAnswer(format!(
                "{grown} counted by the server for {by} sent"
            )))
        }
    }
}

pub(crate) fn get_request(key: &str) -> GetRequest {
    GetRequest {
        namespace: NAMESPACE.to_owned(),
        key: key.to_owned(),
        ..GetRequest::default()
    }
}

/// For an hour.
pub(crate) fn put_request(key: &str, value: &[u8]) -> PutRequest {
    PutRequest {
        namespace: NAMESPACE.to_owned(),
        key: key.to_owned(),
        value: value.to_vec().into(),
        lifetime: Some(Lifetime::Ttl(prost_types::Duration {
            seconds: 3600,
            nanos: 0,
        })),
        ..PutRequest::default()
    }
}

/// With an attribute, as a credential of a cloud has.
pub(crate) fn with_region(put: PutRequest) -> PutRequest {
    PutRequest {
        attributes: HashMap::from([("region".to_owned(), "eu-central-1".to_owned())]),
        ..put
    }
}

/// A value of this many bytes, none of which compresses away.
pub(crate) fn value(bytes: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(bytes).collect()
}

fn wrong<T>(what: &str) -> Result<T, Failure> {
    Err(Failure::WrongAnswer(what.to_owned()))
}
