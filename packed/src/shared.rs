//! A reference-counted block in one allocation: a count, a header, and bytes behind the header.

use std::{
    alloc::{self, Layout, handle_alloc_error},
    fmt,
    marker::PhantomData,
    ops::Deref,
    process,
    ptr::{self, NonNull},
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
        fence,
    },
};

use crate::address::Address;

/// A handle to an immutable header and immutable bytes. The block lives as long as any handle to
/// it. A clone is another handle to the same block.
pub struct Shared<H>(Address, PhantomData<Block<H>>);

#[repr(C)]
struct Block<H> {
    handles: AtomicU32,
    len: u32,
    header: H,
    /// `len` bytes, up to the end of the allocation.
    bytes: [u8; 0],
}

/// A limit far below the overflow, as in `Arc`: several threads may exceed it at once before one of
/// them aborts.
const MOST_HANDLES: u32 = u32::MAX / 2;

impl<H> Shared<H> {
    /// Bytes that a block takes in addition to its header and bytes. A header that isn't aligned to
    /// 4 or 8 bytes may take a few bytes more.
    pub const OVERHEAD: usize = size_of::<AtomicU32>() + size_of::<u32>();

    /// Allocates a block and returns its first handle.
    ///
    /// # Panics
    /// If `bytes` is longer than 4 GiB.
    pub fn new(header: H, bytes: &[u8]) -> Self {
        let len = crate::len(bytes);
        let layout = Self::layout(bytes.len());
        // SAFETY: the layout of a block never has size zero.
        let allocated = NonNull::new(unsafe { alloc::alloc(layout) }.cast::<Block<H>>());
        let Some((block, address)) = allocated.and_then(|block| Some((block, Address::of(block)?)))
        else {
            handle_alloc_error(layout);
        };
        // SAFETY: the layout has room for the block and for the bytes. The bytes begin at their
        // field, and can't overlap memory that was allocated just now.
        unsafe {
            block.write(Block {
                handles: AtomicU32::new(1),
                len,
                header,
                bytes: [],
            });
            let behind = (&raw mut (*block.as_ptr()).bytes).cast::<u8>();
            behind.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        Self(address, PhantomData)
    }

    /// The bytes behind the header.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let block = self.block();
        // SAFETY: the block exists as long as any handle, and `len` bytes were written behind the
        // header when the block was made. The pointer is that of the whole allocation, so it may
        // reach them.
        unsafe {
            let len = (*block).len as usize;
            let behind = (&raw const (*block).bytes).cast::<u8>();
            &*ptr::slice_from_raw_parts(behind, len)
        }
    }

    /// Whether both are handles to the same block.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    #[inline]
    fn block(&self) -> *mut Block<H> {
        self.0.pointer()
    }

    fn layout(bytes: usize) -> Layout {
        let block = Layout::new::<Block<H>>();
        let size = std::mem::offset_of!(Block<H>, bytes).saturating_add(bytes);
        // At least the size of the block itself, which may end in padding.
        match Layout::from_size_align(size.max(block.size()), block.align()) {
            Ok(layout) => layout,
            Err(_) => handle_alloc_error(block),
        }
    }
}

impl<H> Deref for Shared<H> {
    type Target = H;

    #[inline]
    fn deref(&self) -> &H {
        // SAFETY: the block exists as long as any handle, and only shared references to its header
        // are handed out.
        unsafe { &(*self.block()).header }
    }
}

impl<H> Clone for Shared<H> {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: the block exists as long as any handle.
        let handles = unsafe { &(*self.block()).handles };
        // Relaxed: the caller has a handle already, so the new handle orders nothing.
        if handles.fetch_add(1, Relaxed) > MOST_HANDLES {
            process::abort();
        }
        Self(self.0, PhantomData)
    }
}

impl<H> Drop for Shared<H> {
    #[inline]
    fn drop(&mut self) {
        let block = self.block();
        // SAFETY: the block exists as long as any handle.
        let handles = unsafe { &(*block).handles };
        if handles.fetch_sub(1, Release) == 1 {
            // All uses through other handles happen before the block is dropped.
            fence(Acquire);
            // SAFETY: this was the last handle. The layout is that of the allocation, because `len`
            // never changes.
            unsafe { drop_block(block) };
        }
    }
}

/// # Safety
/// `block` was made by [`Shared::new`], no other handle to it exists, and the caller doesn't use it
/// afterwards.
#[cold]
#[inline(never)]
unsafe fn drop_block<H>(block: *mut Block<H>) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let layout = Shared::<H>::layout((*block).len as usize);
        ptr::drop_in_place(block);
        alloc::dealloc(block.cast(), layout);
    }
}

// SAFETY: as for `Arc`: every thread with a handle may read the header, and the thread that drops
// the last handle drops the header.
unsafe impl<H: Send + Sync> Send for Shared<H> {}
// SAFETY: as for `Send`.
unsafe impl<H: Send + Sync> Sync for Shared<H> {}

impl<H: fmt::Debug> fmt::Debug for Shared<H> {
    /// Prints the header only, because the bytes may be confidential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, atomic::AtomicUsize},
        thread,
    };

    use super::*;

    struct Dropped(Arc<AtomicUsize>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn header_and_bytes_of_any_alignment_are_what_they_were() {
        fn check<H: Copy + PartialEq + fmt::Debug>(header: H) {
            assert_eq!(size_of::<Shared<H>>(), 6);
            // Miri takes a second for some thousand bytes.
            let longest = if cfg!(miri) { 100 } else { 70_000 };
            for len in [0, 1, 2, 7, 8, 9, longest] {
                let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
                let shared = Shared::new(header, &bytes);
                assert_eq!(*shared, header);
                assert_eq!(shared.bytes(), bytes);
                assert!((&raw const *shared).is_aligned());
            }
        }
        check(());
        check(1_u8);
        check((1_u8, 2_u64));
        check([3_u16; 5]);
        check(u128::MAX);
    }

    #[test]
    fn header_is_dropped_with_the_last_handle_and_once() {
        let dropped = Arc::default();
        let shared = Shared::new(Dropped(Arc::clone(&dropped)), b"key");
        let other = shared.clone();
        assert!(shared.is_same(&other));
        assert!(!shared.is_same(&Shared::new(Dropped(Arc::default()), b"key")));
        drop(shared);
        assert_eq!(dropped.load(Relaxed), 0);
        assert_eq!(other.bytes(), b"key");
        drop(other);
        assert_eq!(dropped.load(Relaxed), 1);
    }

    #[test]
    fn handles_come_and_go_on_many_threads() {
        let times = if cfg!(miri) { 20 } else { 1000 };
        let dropped = Arc::default();
        let shared = Shared::new(Dropped(Arc::clone(&dropped)), &[7; 100]);
        thread::scope(|scope| {
            for _ in 0..4 {
                let mine = shared.clone();
                scope.spawn(move || {
                    for _ in 0..times {
                        assert_eq!(mine.clone().bytes(), [7; 100]);
                    }
                });
            }
        });
        assert_eq!(dropped.load(Relaxed), 0);
        drop(shared);
        assert_eq!(dropped.load(Relaxed), 1);
    }
}
