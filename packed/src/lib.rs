//! Owners of memory that take less of it themselves: a [`Shared`] block is
//! handled by six bytes, a boxed slice by ten ([`Bytes`]).
//!
//! Guarantees what `Arc` and `Box<[u8]>` do. The workspace's only unsafe code;
//! what it rests on is written beside each use of it.
//!
//! An address of a process has 48 bits at most on the 64-bit systems there are,
//! unless it asks for more. Memory beyond counts as memory that can't be had.

mod address;
mod bytes;
mod shared;

pub use bytes::Bytes;
pub use shared::Shared;

/// # Panics
/// Above 4 GiB.
#[expect(clippy::panic, reason = "documented where it is called from")]
fn len(bytes: &[u8]) -> u32 {
    match u32::try_from(bytes.len()) {
        Ok(len) => len,
        Err(_) => panic!("more than 4 GiB"),
    }
}
