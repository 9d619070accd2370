//! h2 and nothing else: one task for each connection accepts the calls, reads
//! their bodies and answers, and spawns nothing.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{
    RecvStream,
    server::{Builder, Connection, SendResponse},
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::answer::{STREAMS, response, trailers};

/// hyper's window, of a connection and of a stream.
const WINDOW: u32 = 1 << 20;

pub(crate) async fn serve(socket: impl AsyncRead + AsyncWrite + Unpin, answer: Bytes) {
    let connection = Builder::new()
        .max_concurrent_streams(STREAMS)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(socket)
        .await;
    let Ok(mut connection) = connection else {
        return;
    };
    let mut calls = Vec::new();
    poll_fn(|cx| poll_turns(&mut connection, &mut calls, &answer, cx)).await;
}

/// A call whose body hasn't ended, and the way to answer it.
type Call = (RecvStream, SendResponse<Bytes>);

/// Until the connection ends, or there is nothing to do.
fn poll_turns(
    connection: &mut Connection<impl AsyncRead + AsyncWrite + Unpin, Bytes>,
    calls: &mut Vec<Call>,
    answer: &Bytes,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        // Sends what was answered, too.
        while let Poll::Ready(call) = connection.poll_accept(cx) {
            let Some(Ok((request, respond))) = call else {
                return Poll::Ready(());
            };
            calls.push((request.into_body(), respond));
        }
        let open = calls.len();
        calls.retain_mut(|call| poll_call(call, answer, cx).is_pending());
        if calls.len() == open {
            return Poll::Pending;
        }
    }
}

/// Reads the body, and answers when it has ended. An error is the call's end.
fn poll_call(
    (body, respond): &mut Call,
    answer: &Bytes,
    cx: &mut Context<'_>,
) -> Poll<Result<(), h2::Error>> {
    while let Some(data) = ready!(body.poll_data(cx)).transpose()? {
        body.flow_control().release_capacity(data.len())?;
    }
    let mut stream = respond.send_response(response(()), false)?;
    stream.send_data(answer.clone(), false)?;
    Poll::Ready(stream.send_trailers(trailers()))
}

#[cfg(test)]
mod tests {
    use h2::client;
    use hyper::{Request, header};
    use tokio::io::duplex;

    use super::*;
    use crate::gather::{Gathered, drive};

    #[tokio::test]
    async fn every_call_of_a_connection_gets_the_answer_and_its_trailers() {
        let (ours, theirs) = duplex(1000);
        let socket = Gathered::new(ours);
        let answer = Bytes::from(vec![7; 1029]);
        tokio::spawn(drive(serve(socket.clone(), answer.clone()), socket));
        let (sender, connection) = client::handshake(theirs).await.unwrap();
        tokio::spawn(connection);
        let mut answers = Vec::new();
        for length in [1, 100, 5_000] {
            let mut sender = sender.clone().ready().await.unwrap();
            let request = Request::post("http://localhost/get").body(()).unwrap();
            let (answered, mut body) = sender.send_request(request, false).unwrap();
            body.send_data(vec![1; length].into(), true).unwrap();
            answers.push(answered);
        }
        for answered in answers {
            let answered = answered.await.unwrap();
            let kind = &answered.headers()[header::CONTENT_TYPE];
            assert_eq!(kind, "application/grpc");
            let mut body = answered.into_body();
            let mut read = Vec::new();
            while let Some(data) = body.data().await {
                read.extend(data.unwrap());
            }
            assert!(read == answer);
            assert_eq!(body.trailers().await.unwrap(), Some(trailers()));
        }
    }
}
