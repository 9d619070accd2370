//! The remaining room in the response to a batch.
//!
//! The response stays within the size that clients accept: each result has a share, and a larger
//! result takes the rest from a common reserve.

use prost::{Message, encoding::message};

use crate::rpc::MAX_MESSAGE;

/// The number of `results` in both responses.
const RESULTS: u32 = 1;
/// An upper bound on the bytes of a miss.
const MISS: usize = 32;
/// An upper bound on the bytes of a stored outcome, or of a code with its reason. The longest part
/// is a tier's name, of up to 63 bytes.
const OUTCOME: usize = 256;

pub(in crate::rpc) struct Room {
    share: usize,
    /// The reserve: bytes that belong to no share.
    left: usize,
}

impl Room {
    pub(in crate::rpc) fn for_misses(count: usize) -> Self {
        Self::new(count, MISS)
    }

    pub(in crate::rpc) fn for_outcomes(count: usize) -> Self {
        Self::new(count, OUTCOME)
    }

    fn new(count: usize, share: usize) -> Self {
        Self {
            share,
            left: MAX_MESSAGE.saturating_sub(count.saturating_mul(share)),
        }
    }

    /// Takes the room for this result. Returns false and takes nothing if there isn't enough; the
    /// result's share then remains for a smaller result in its place.
    pub(in crate::rpc) fn take_result(&mut self, result: &impl Message) -> bool {
        self.take(message::encoded_len(RESULTS, result))
    }

    /// Takes the room for a result of this many bytes, including its number and length.
    pub(in crate::rpc) fn take(&mut self, bytes: usize) -> bool {
        let excess = bytes.saturating_sub(self.share);
        match self.left.checked_sub(excess) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost_types::{Duration, Timestamp};

    use super::*;
    use crate::rpc::proto::{
        BatchGetResult, BatchPutResult, Credential, Miss, MissReason, PutResponse,
        batch_get_result, batch_put_result,
    };

    fn credential(bytes: usize) -> BatchGetResult {
        let credential = Credential {
            value: Bytes::from(vec![0; bytes]),
            ..Default::default()
        };
        BatchGetResult {
            outcome: Some(batch_get_result::Outcome::Credential(credential)),
        }
    }

    #[test]
    fn message_is_filled_to_the_last_byte_and_not_beyond() {
        let whole = credential(MAX_MESSAGE);
        let heads = message::encoded_len(RESULTS, &whole) - MAX_MESSAGE;
        for count in [1, 2, 1000] {
            let fits = MAX_MESSAGE - heads - (count - 1) * MISS;
            assert!(!Room::for_misses(count).take_result(&credential(fits + 1)));
            let mut room = Room::for_misses(count);
            assert!(room.take_result(&credential(fits)));
            assert!(!room.take_result(&credential(MISS)));
            assert!(room.take_result(&credential(MISS / 2)));
        }
    }

    #[test]
    fn what_needs_no_more_than_its_share_always_fits() {
        let longest = Duration {
            seconds: 315_576_000_000,
            nanos: 999_999_999,
        };
        let miss = Miss {
            reason: MissReason::NoRoom.into(),
            retry_after: Some(longest),
        };
        let miss = BatchGetResult {
            outcome: Some(batch_get_result::Outcome::Miss(miss)),
        };
        assert!(message::encoded_len(RESULTS, &miss) <= MISS);

        let stored = PutResponse {
            version: u64::MAX,
            tier: "t".repeat(63),
            expires_at: Some(Timestamp {
                seconds: i64::MAX,
                nanos: i32::MAX,
            }),
        };
        let stored = BatchPutResult {
            outcome: Some(batch_put_result::Outcome::Response(stored)),
        };
        assert!(message::encoded_len(RESULTS, &stored) <= OUTCOME);
    }
}
