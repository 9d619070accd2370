//! Compact owning pointers: [`Shared`] is a reference-counted block behind a handle of six bytes,
//! and [`Bytes`] is a boxed slice of bytes in ten bytes.
//!
//! The types give the guarantees of `Arc` and `Box<[u8]>`. This crate has the only unsafe code of
//! the workspace. The safety argument stands beside each unsafe block.
//!
//! On today's 64-bit systems, the addresses of a process have at most 48 bits unless the process
//! asks for more. An allocation beyond 48 bits is treated as a failed allocation.

mod address;
mod bytes;
mod shared;

pub use bytes::Bytes;
pub use shared::Shared;

/// # Panics
/// If the slice is longer than 4 GiB.
#[expect(clippy::panic, reason = "documented where it is called from")]
fn len(bytes: &[u8]) -> u32 {
    match u32::try_from(bytes.len()) {
        Ok(len) => len,
        Err(_) => panic!("more than 4 GiB"),
    }
}
