//! A message as it goes over the wire, and the paths of the calls.

use std::io;

use crate::failure::Failure;

pub(crate) const GET: &str = "/credcache.v1.CredentialCacheService/Get";
pub(crate) const PUT: &str = "/credcache.v1.CredentialCacheService/Put";
pub(crate) const BATCH_GET: &str = "/credcache.v1.CredentialCacheService/BatchGet";
pub(crate) const INVALIDATE: &str = "/credcache.v1.CredentialCacheService/Invalidate";
pub(crate) const WATCH: &str = "/credcache.v1.CredentialCacheService/Watch";

/// Bytes of a frame besides its message.
pub(crate) const FRAME_HEAD: u64 = 5;

/// Not compressed, the length, the message.
pub(crate) fn frame(message: &impl prost::Message) -> Result<Vec<u8>, Failure> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    frame.extend(message);
    Ok(frame)
}
