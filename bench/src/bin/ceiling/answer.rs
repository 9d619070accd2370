//! What every ceiling answers, and how many calls it takes at a time.

use bytes::{BufMut, Bytes, BytesMut};
use hyper::{
    HeaderMap, Response,
    header::{CONTENT_TYPE, HeaderValue},
};

/// How many calls a connection may make at a time.
pub(crate) const STREAMS: u32 = 512;

/// A gRPC frame: not compressed, the length, the message.
pub(crate) fn framed(message: &[u8]) -> Result<Bytes, std::num::TryFromIntError> {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len())?);
    frame.put_slice(message);
    Ok(frame.freeze())
}

/// The answer's headers, before this body.
pub(crate) fn response<B>(body: B) -> Response<B> {
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    response
}

/// Of a success.
pub(crate) fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers
}
