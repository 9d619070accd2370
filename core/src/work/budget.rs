//! How much work one step of long work may do.

/// The remaining work units of a step; one unit is the inspection of one entry. The bound is
/// approximate, and large enough that every step makes progress.
pub(crate) struct Budget(usize);

/// A step removes about 16 entries of up to 1 KiB, in 23 µs when they are scattered over 100,000
/// entries, or inspects about 256 entries. Half this size made the median of concurrent Gets a
/// sixth shorter and the whole removal a quarter longer.
pub(crate) const STEP: usize = 256;
/// Units for removing an entry, without its value.
const REMOVAL: usize = 15;
/// How many bytes of a value can be zeroed and freed in one unit.
const BYTES_PER_UNIT: u32 = 1024;
/// Units for locking a stripe or for seeking in a tree.
pub(crate) const SEEK: usize = 4;

impl Budget {
    pub(crate) fn for_step() -> Self {
        Self(STEP)
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.0 == 0
    }

    pub(crate) fn seek(&mut self) {
        self.spend(SEEK);
    }

    pub(crate) fn inspect(&mut self) {
        self.spend(1);
    }

    /// Spends the units for removing an entry of this weight, which was inspected already.
    pub(crate) fn remove(&mut self, weight: u32) {
        self.spend(REMOVAL + (weight / BYTES_PER_UNIT) as usize);
    }

    /// Spends the units for removing anything that takes about as long as an entry.
    pub(crate) fn remove_other(&mut self) {
        self.spend(REMOVAL);
    }

    fn spend(&mut self, units: usize) {
        self.0 = self.0.saturating_sub(units);
    }
}
