//! The ceilings: what HTTP/2 itself allows. Servers that read a request's body
//! to its end, look at nothing of it, and answer with the one gRPC message that
//! they read from stdin when they started, framed once, and the trailers of a
//! success. No tonic, no decoding, no routing, no encoding.
//!
//! As fast as can be on one core: a single-threaded runtime, TCP_NODELAY, the
//! answer's bytes shared and not copied, no timer. Listens where its argument
//! says, and like credcache prints `listening on ADDR`.

#![expect(
    clippy::print_stdout,
    reason = "the address goes to whoever started it"
)]

mod answer;
mod bare;
mod gather;
mod hyper;

use std::error::Error;

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, stdin},
    net::{TcpListener, UnixListener},
};

use self::gather::{Gathered, drive};

// The server's allocator, lest the figure compare allocators.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Answer every call with the message read from stdin.
#[derive(Parser)]
struct Arguments {
    /// host:port or unix:PATH
    listen: String,
    #[arg(long, value_enum, default_value_t = Kind::Hyper)]
    kind: Kind,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// hyper, as it is
    Hyper,
    /// hyper, all answers of a turn in one write
    HyperGathered,
    /// h2 in one task for each connection, all answers of a turn in one write
    H2Gathered,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { listen, kind } = Arguments::parse();
    let mut message = Vec::new();
    stdin().read_to_end(&mut message).await?;
    let answer = answer::framed(&message)?;

    if let Some(path) = listen.strip_prefix("unix:") {
        let listener = UnixListener::bind(path)?;
        println!("listening on {listen}");
        loop {
            let (socket, _) = listener.accept().await?;
            tokio::spawn(serve(kind, socket, answer.clone()));
        }
    }
    let listener = TcpListener::bind(listen).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(serve(kind, socket, answer.clone()));
    }
}

/// Until the peer closes; an error is the peer's end too.
async fn serve(
    kind: Kind,
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    answer: Bytes,
) {
    match kind {
        Kind::Hyper => hyper::serve(socket, answer).await,
        Kind::HyperGathered => {
            let socket = Gathered::new(socket);
            drive(hyper::serve(socket.clone(), answer), socket).await;
        }
        Kind::H2Gathered => {
            let socket = Gathered::new(socket);
            drive(bare::serve(socket.clone(), answer), socket).await;
        }
    }
}
