//! The yardstick: a bare tonic server that decodes a `GetRequest` and answers
//! it with the one `GetResponse` it read from stdin when it started. No lookup,
//! no clock, no counter: what is left is the cost of gRPC itself.
//!
//! Listens where its argument says, and like credcache prints
//! `listening on ADDR`.

#![expect(
    clippy::print_stdout,
    reason = "the address goes to whoever started it"
)]

use std::error::Error;

use clap::Parser;
use credcache_bench::{
    address::Address,
    proto::{
        AbandonLeaseRequest, AbandonLeaseResponse, BatchGetRequest, BatchGetResponse,
        BatchPutRequest, BatchPutResponse, ExtendLeaseRequest, ExtendLeaseResponse, GetRequest,
        GetResponse, InvalidateRequest, InvalidateResponse, PutRequest, PutResponse, StatsRequest,
        StatsResponse, WatchRequest, WatchResponse,
        credential_cache_service_server::{CredentialCacheService, CredentialCacheServiceServer},
    },
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, stdin},
    net::UnixListener,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{
    Request, Response, Status,
    codegen::BoxStream,
    transport::{Server, server::TcpIncoming},
};

// The server's allocator, lest the figure compare allocators.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Answer every Get with the message read from stdin.
#[derive(Parser)]
struct Arguments {
    /// host:port or unix:PATH
    listen: Address,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { listen } = Arguments::parse();
    let mut answer = Vec::new();
    stdin().read_to_end(&mut answer).await?;
    let echo = Echo(GetResponse::decode(answer.as_slice())?);

    let server = Server::builder().add_service(CredentialCacheServiceServer::new(echo));
    match listen {
        Address::Tcp(address) => {
            let incoming = TcpIncoming::bind(address.parse()?)?.with_nodelay(Some(true));
            println!("listening on {}", incoming.local_addr()?);
            server.serve_with_incoming(incoming).await?;
        }
        Address::Unix(path) => {
            let incoming = UnixListenerStream::new(UnixListener::bind(&path)?);
            println!("listening on {}", Address::Unix(path));
            server.serve_with_incoming(incoming).await?;
        }
    }
    Ok(())
}

struct Echo(GetResponse);

#[tonic::async_trait]
impl CredentialCacheService for Echo {
    type WatchStream = BoxStream<WatchResponse>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        drop(request);
        Ok(Response::new(self.0.clone()))
    }

    async fn put(&self, _: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        Err(only_get())
    }

    async fn invalidate(
        &self,
        _: Request<InvalidateRequest>,
    ) -> Result<Response<InvalidateResponse>, Status> {
        Err(only_get())
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsResponse>, Status> {
        Err(only_get())
    }

    async fn batch_get(
        &self,
        _: Request<BatchGetRequest>,
    ) -> Result<Response<BatchGetResponse>, Status> {
        Err(only_get())
    }

    async fn batch_put(
        &self,
        _: Request<BatchPutRequest>,
    ) -> Result<Response<BatchPutResponse>, Status> {
        Err(only_get())
    }

    async fn extend_lease(
        &self,
        _: Request<ExtendLeaseRequest>,
    ) -> Result<Response<ExtendLeaseResponse>, Status> {
        Err(only_get())
    }

    async fn abandon_lease(
        &self,
        _: Request<AbandonLeaseRequest>,
    ) -> Result<Response<AbandonLeaseResponse>, Status> {
        Err(only_get())
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(only_get())
    }
}

fn only_get() -> Status {
    Status::unimplemented("the echo answers Get only")
}
