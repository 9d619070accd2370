//! One connection of the load generator.

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use tokio::{net::TcpStream, sync::Semaphore};

use super::Call;
use crate::failure::Failure;

/// Below what any server here allows; further calls wait here, in their order.
const STREAMS: usize = 200;
/// As large as a window may be, so that answers never wait for one.
const WINDOW: u32 = (1 << 31) - 1;

pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    streams: Semaphore,
}

impl Connection {
    pub(super) async fn open(address: &str) -> Result<Self, Failure> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(socket)
            .await?;
        // Ends with the runtime. Its errors are those of the calls.
        tokio::spawn(connection);
        Ok(Self {
            sender,
            streams: Semaphore::new(STREAMS),
        })
    }

    pub(super) async fn open_several(address: &str, count: u32) -> Result<Vec<Self>, Failure> {
        let mut connections = Vec::new();
        for _ in 0..count {
            connections.push(Self::open(address).await?);
        }
        Ok(connections)
    }

    /// Makes a call as soon as there is a stream for it, and waits for the end
    /// of its answer.
    pub(super) async fn call(&self, call: &Call) -> Result<(), Failure> {
        let _stream = self.streams.acquire().await;
        let mut body = self.send(call).await?.await?.into_body();
        let mut length = 0;
        while let Some(data) = body.data().await.transpose()? {
            length += data.len();
            body.flow_control().release_capacity(data.len())?;
        }
        if length >= call.least_answer {
            Ok(())
        } else {
            Err(wrong("an error, or an answer that is too short"))
        }
    }

    /// Sends a call, and leaves its answer to the caller.
    pub(super) async fn send(&self, call: &Call) -> Result<ResponseFuture, Failure> {
        let mut sender = self.sender.clone().ready().await?;
        let (answer, mut body) = sender.send_request(call.request.clone(), false)?;
        body.send_data(call.body.clone(), true)?;
        Ok(answer)
    }
}

pub(super) fn wrong(what: &str) -> Failure {
    Failure::WrongAnswer(what.to_owned())
}
