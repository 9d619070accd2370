//! The ceiling: what HTTP/2 itself allows. A bare hyper server that reads a
//! request's body to its end, looks at nothing of it, and answers with the one
//! gRPC message it read from stdin when it started, framed once, and the
//! trailers of a success. No tonic, no decoding, no routing, no encoding.
//!
//! As fast as hyper itself can be made on one core: a single-threaded runtime,
//! TCP_NODELAY, the answer's bytes shared and not copied, its headers static,
//! hyper's own flow control (no BDP pings), no timer. With `--gather` faster
//! still, since it no longer writes each answer by itself. Listens where its
//! argument says, and like credcache prints `listening on ADDR`.

#![expect(
    clippy::print_stdout,
    reason = "the address goes to whoever started it"
)]

mod gather;

use std::{
    convert::Infallible,
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{BufMut, Bytes, BytesMut};
use clap::Parser;
use credcache_bench::address::Address;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, stdin},
    net::{TcpListener, UnixListener},
};

use crate::gather::Gathered;

// The server's allocator, lest the figure compare allocators.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Answer every call with the message read from stdin.
#[derive(Parser)]
struct Arguments {
    /// host:port or unix:PATH
    listen: Address,
    /// Write what there is at once, not each answer by itself
    #[arg(long)]
    gather: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { listen, gather } = Arguments::parse();
    let mut message = Vec::new();
    stdin().read_to_end(&mut message).await?;
    let answer = framed(&message)?;

    match listen {
        Address::Tcp(address) => {
            let listener = TcpListener::bind(address).await?;
            println!("listening on {}", listener.local_addr()?);
            loop {
                let (socket, _) = listener.accept().await?;
                socket.set_nodelay(true)?;
                tokio::spawn(serve(socket, answer.clone(), gather));
            }
        }
        Address::Unix(path) => {
            let listener = UnixListener::bind(&path)?;
            println!("listening on {}", Address::Unix(path));
            loop {
                let (socket, _) = listener.accept().await?;
                tokio::spawn(serve(socket, answer.clone(), gather));
            }
        }
    }
}

/// Until the peer closes; an error is the peer's end too.
async fn serve(
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    answer: Bytes,
    gather: bool,
) {
    let service = service_fn(|request| respond(request, answer.clone()));
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2.max_concurrent_streams(512);
    if gather {
        let socket = Gathered::new(socket);
        let connection = http2.serve_connection(TokioIo::new(socket.clone()), service);
        gather::drive(connection, socket).await;
    } else {
        let _ended = http2.serve_connection(TokioIo::new(socket), service).await;
    }
}

async fn respond(
    request: Request<Incoming>,
    answer: Bytes,
) -> Result<Response<Canned>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let mut response = Response::new(Canned::Message(answer));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// A gRPC frame: not compressed, the length, the message.
fn framed(message: &[u8]) -> Result<Bytes, Box<dyn Error>> {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len())?);
    frame.put_slice(message);
    Ok(frame.freeze())
}

/// The answer's body: what of it is still to be sent.
enum Canned {
    Message(Bytes),
    Trailers,
    Nothing,
}

impl Body for Canned {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (frame, rest) = match std::mem::replace(&mut *self, Self::Nothing) {
            Self::Message(message) => (Frame::data(message), Self::Trailers),
            Self::Trailers => {
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                (Frame::trailers(trailers), Self::Nothing)
            }
            Self::Nothing => return Poll::Ready(None),
        };
        *self = rest;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}
