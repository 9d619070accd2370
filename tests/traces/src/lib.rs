//! Searches the memory of the process, freed memory included, for traces of a value.
//!
//! Linux shows a process its own memory as a file, so a test needs no unsafe code to read memory
//! without an owner.

use std::{
    fs::{self, File},
    hint::black_box,
    io,
    os::unix::fs::FileExt,
    sync::{Mutex, PoisonError},
};

use zeroize::Zeroizing;

/// The length of the shortest value that can be found. An allocator overwrites the first bytes of
/// freed memory, so only a part of the rest is searched for.
pub const SHORTEST: usize = 128;
/// The start of the part that is searched for.
const FIRST: usize = 64;
const LEN: usize = 32;
/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;

static SEARCH: Mutex<()> = Mutex::new(());

/// A value that exists nowhere else: its bytes are computed one by one, so the value is only in the
/// memory that it was written to.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u32);

impl Mark {
    /// Creates a mark. Marks of different seeds have nothing in common.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        // The compiler must not know the seed, or it could compute the bytes.
        Self(black_box(seed))
    }

    /// The bytes of the mark, zeroed when dropped.
    #[must_use]
    pub fn bytes(self, len: usize) -> Zeroizing<Vec<u8>> {
        assert!(len >= SHORTEST, "too short to be found");
        let mut bytes = Zeroizing::new(Vec::with_capacity(len));
        bytes.extend((0..len).map(|at| self.byte(at)));
        bytes
    }

    /// Whether these are the bytes of the mark.
    #[must_use]
    pub fn is(self, bytes: &[u8]) -> bool {
        let mut places = bytes.iter().enumerate();
        bytes.len() >= SHORTEST && places.all(|(at, byte)| *byte == self.byte(at))
    }

    /// The number of places in memory that contain the mark.
    ///
    /// # Errors
    /// The process can't read its own memory.
    pub fn traces(self) -> io::Result<usize> {
        // One search at a time: a search would find the value in the buffer of another one.
        let _searching = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = File::open("/proc/self/mem")?;
        let mappings = fs::read_to_string("/proc/self/maps")?;
        let mut chunk = Zeroizing::new(vec![0; CHUNK]);
        let own = chunk.as_ptr().addr() as u64;
        let own = own..own + CHUNK as u64;
        let mut traces = 0;
        for mapping in mappings.lines().filter_map(writable) {
            let mut at = mapping.start;
            while at < mapping.end {
                // The chunk isn't read into itself, because the bytes before it would then be
                // repeated in it.
                let end = if at < own.start {
                    mapping.end.min(own.start)
                } else {
                    if own.contains(&at) {
                        at = own.end;
                    }
                    mapping.end
                };
                let left = end.saturating_sub(at);
                let len = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
                if len == 0 {
                    break;
                }
                // A mapping may have gone by now, or may not be memory.
                if memory.read_exact_at(&mut chunk[..len], at).is_err() {
                    break;
                }
                traces += self.found_in(&chunk[..len]);
                // A mark found here must not be found again at the address of the chunk.
                chunk.fill(0);
                // A mark across the border is complete in the next chunk.
                at += if len < CHUNK { len } else { CHUNK - LEN + 1 } as u64;
            }
        }
        Ok(traces)
    }

    fn found_in(self, memory: &[u8]) -> usize {
        let first = self.byte(FIRST);
        let windows = memory.windows(LEN);
        let alike = windows.filter(|window| window[0] == first);
        alike.filter(|window| self.stands_in(window)).count()
    }

    fn stands_in(self, window: &[u8]) -> bool {
        let mut places = (FIRST..).zip(window);
        places.all(|(at, byte)| *byte == self.byte(at))
    }

    fn byte(self, at: usize) -> u8 {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let mixed = (at ^ self.0.rotate_left(16)).wrapping_mul(0x9E37_79B9) ^ self.0;
        mixed.wrapping_mul(0x85EB_CA6B).to_le_bytes()[3]
    }
}

struct Mapping {
    start: u64,
    end: u64,
}

/// The mapping of a line of `/proc/self/maps`, if its memory can be written to.
fn writable(line: &str) -> Option<Mapping> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    let mapping = Mapping {
        start: address(start)?,
        end: address(end)?,
    };
    rest.starts_with("rw").then_some(mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_found_where_it_stands_and_where_it_was_freed() {
        let mark = Mark::new(1);
        assert_eq!(mark.traces().unwrap(), 0);
        let held = mark.bytes(SHORTEST);
        assert!(mark.is(&held) && !Mark::new(2).is(&held));
        assert_eq!(mark.traces().unwrap(), 1);
        let copy = held.to_vec();
        drop(held);
        assert_eq!(mark.traces().unwrap(), 1);
        drop(copy);
        assert_eq!(mark.traces().unwrap(), 1, "the copy is not zeroed");
    }

    #[test]
    fn value_in_a_large_block_is_found_on_any_border() {
        let mark = Mark::new(3);
        let mut block = Zeroizing::new(vec![0; 5 * CHUNK]);
        for start in [1, CHUNK - FIRST - 1, 2 * CHUNK - FIRST - LEN, 4 * CHUNK] {
            block.fill(0);
            for at in 0..SHORTEST {
                block[start + at] = mark.byte(at);
            }
            assert_eq!(mark.traces().unwrap(), 1, "at {start}");
        }
    }
}
