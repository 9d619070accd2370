//! etcd as a cluster of one, its data in a directory that goes with it. It is
//! asked by the load generator that asks credcache.

use tempfile::TempDir;
use tokio::runtime::Builder;
use tonic::{client::Grpc, codegen::http::uri::PathAndQuery, transport::Endpoint};
use tonic_prost::ProstCodec;

use super::{Peer, free_port};
use crate::{failure::Failure, servers::Stage};

pub(crate) const RANGE: &str = "/etcdserverpb.KV/Range";
const PUT: &str = "/etcdserverpb.KV/Put";

pub(crate) struct Etcd {
    pub(crate) peer: Peer,
    pub(crate) address: String,
    _directory: TempDir,
}

/// `etcdserverpb.RangeRequest`, what is used of it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Range {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    /// Answered from memory, without a round of consensus.
    #[prost(bool, tag = "7")]
    serializable: bool,
}

/// `etcdserverpb.PutRequest`, what is used of it.
#[derive(Clone, PartialEq, prost::Message)]
struct Stored {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// Any answer, of which nothing is read.
#[derive(Clone, PartialEq, prost::Message)]
struct Unread {}

impl Etcd {
    /// With this value under `key`.
    pub(crate) fn with(stage: &Stage, key: &str, value: &[u8]) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let data = directory.path().display().to_string();
        let (port, peer_port) = (free_port()?, free_port()?);
        let url = format!("http://127.0.0.1:{port}");
        let peer = format!("http://127.0.0.1:{peer_port}");
        let cluster = format!("default={peer}");
        let arguments = [
            ["--data-dir", &data],
            ["--listen-client-urls", &url],
            ["--advertise-client-urls", &url],
            ["--listen-peer-urls", &peer],
            ["--initial-advertise-peer-urls", &peer],
            ["--initial-cluster", &cluster],
        ];
        let etcd = Self {
            peer: Peer::start(stage, "etcd", port, &arguments)?,
            address: format!("127.0.0.1:{port}"),
            _directory: directory,
        };
        etcd.put(key, value)?;
        Ok(etcd)
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let request = Stored {
            key: key.into(),
            value: value.into(),
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let endpoint = Endpoint::new(format!("http://{}", self.address))?;
            let mut client = Grpc::new(endpoint.connect().await?);
            client.ready().await?;
            let path = PathAndQuery::from_static(PUT);
            let codec = ProstCodec::<Stored, Unread>::default();
            client
                .unary(tonic::Request::new(request), path, codec)
                .await?;
            Ok(())
        })
    }
}

pub(crate) fn range(key: &str) -> Range {
    Range {
        key: key.into(),
        serializable: true,
    }
}
