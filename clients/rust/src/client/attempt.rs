//! One attempt of a call: one message to one connection, and its answer.

use std::time::Duration;

use tonic::{Request, Response, Status, transport::Channel};

use crate::{Error, clock::BootInstant};

/// Sends a message, and tells the server how long the attempt may take. Returns the
/// response, and the instant just before the message was sent.
pub(super) async fn attempt<Message, Reply, Rpc>(
    channel: Channel,
    left: Duration,
    message: Message,
    rpc: impl FnOnce(Channel, Request<Message>) -> Rpc,
) -> Result<(Reply, BootInstant), Error>
where
    Rpc: Future<Output = Result<Response<Reply>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(left);
    let sent = BootInstant::now();
    let response = rpc(channel, request).await?;
    Ok((response.into_inner(), sent))
}
