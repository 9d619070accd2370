//! A server in this process on port 0, and an HTTP/2 client that may stop in
//! the middle of a call.

use std::net::SocketAddr;

use bytes::Bytes;
use credcache::{
    config::{Config, ServeArgs},
    server::{self, Bound, BoundAddr, ServeError},
};
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::Request;
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle};
use tonic::service::Routes;

/// The path of a unary call that every server answers.
pub(crate) const CHECK: &str = "/grpc.health.v1.Health/Check";
/// An empty message, framed.
pub(crate) const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// A configuration on port 0, with more of TOML's tables.
pub(crate) fn config(tables: &str) -> Config {
    let file = format!("listen = ['127.0.0.1:0']\n{tables}");
    Config::from_sources(Some(&file), [], &ServeArgs::default()).unwrap()
}

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    outcome: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub(crate) async fn start(config: &Config) -> Self {
        Self::run(server::bind(config).await.unwrap())
    }

    pub(crate) fn run(bound: Bound) -> Self {
        let Some(BoundAddr::Tcp(address)) = bound.addresses().next().cloned() else {
            panic!("the first listener isn't TCP");
        };
        let (shutdown, stopped) = oneshot::channel();
        let outcome = tokio::spawn(bound.run(Routes::default(), async {
            let _ = stopped.await;
        }));
        Self {
            address,
            shutdown,
            outcome,
        }
    }

    /// Begins the drain; the handle ends when the server has.
    pub(crate) fn shut_down(self) -> JoinHandle<Result<(), ServeError>> {
        self.shutdown.send(()).unwrap();
        self.outcome
    }
}

/// A client's end of a connection.
pub(crate) struct Client {
    requests: SendRequest<Bytes>,
    /// Ends when the connection does.
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.unwrap()
    }

    async fn try_connect(address: SocketAddr) -> Result<Self, h2::Error> {
        let stream = TcpStream::connect(address).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await?;
        Ok(Self {
            requests,
            connection: tokio::spawn(connection),
        })
    }

    /// Begins a call; its message is left to send.
    pub(crate) async fn begin(
        &mut self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut request = Request::post(format!("http://credcache{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await?;
        requests.send_request(request.body(()).unwrap(), false)
    }

    /// Calls Check; the status it says.
    pub(crate) async fn check(&mut self) -> Result<u8, h2::Error> {
        let (response, mut body) = self.begin(CHECK, &[]).await?;
        body.send_data(Bytes::from_static(EMPTY_MESSAGE), true)?;
        serving_status(response).await
    }
}

/// The serving status in Check's answer: 1 = SERVING, 2 = NOT_SERVING.
pub(crate) async fn serving_status(response: ResponseFuture) -> Result<u8, h2::Error> {
    let mut body = response.await?.into_body();
    let message = body.data().await.expect("a message")?;
    assert_eq!(message.len(), 7, "a frame's head, a tag and a status");
    Ok(message[6])
}

/// Connects and calls until a server answers, as a client that retries does.
pub(crate) async fn until_served(address: SocketAddr) {
    loop {
        if let Ok(mut client) = Client::try_connect(address).await
            && client.check().await.is_ok()
        {
            return;
        }
    }
}
