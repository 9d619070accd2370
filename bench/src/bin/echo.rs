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
use credcache_bench::proto::{
    GetRequest, GetResponse,
    credential_cache_service_server::{CredentialCacheService, CredentialCacheServiceServer},
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, stdin},
    net::UnixListener,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

// The server's allocator, lest the figure compare allocators.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Answer every Get with the message read from stdin.
#[derive(Parser)]
struct Arguments {
    /// host:port or unix:PATH
    listen: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { listen } = Arguments::parse();
    let mut answer = Vec::new();
    stdin().read_to_end(&mut answer).await?;
    let echo = Echo(GetResponse::decode(answer.as_slice())?);

    let server = Server::builder().add_service(CredentialCacheServiceServer::new(echo));
    if let Some(path) = listen.strip_prefix("unix:") {
        let incoming = UnixListenerStream::new(UnixListener::bind(path)?);
        println!("listening on {listen}");
        server.serve_with_incoming(incoming).await?;
    } else {
        let incoming = TcpIncoming::bind(listen.parse()?)?.with_nodelay(Some(true));
        println!("listening on {}", incoming.local_addr()?);
        server.serve_with_incoming(incoming).await?;
    }
    Ok(())
}

/// Every other call is unimplemented.
struct Echo(GetResponse);

#[tonic::async_trait]
impl CredentialCacheService for Echo {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        drop(request);
        Ok(Response::new(self.0.clone()))
    }
}
