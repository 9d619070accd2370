//! How much one step of long work may do.

/// What is left of a step, in looks at an entry. A step is bounded by it in time,
/// not to the look, and never so small that it comes no further.
pub(crate) struct Budget(usize);

/// A step removes some 16 entries of up to 1 KiB, in 23 µs where they lie
/// scattered over 100,000, or looks at some 256. Half as much made the median
/// of the Gets beside it a sixth shorter, and the whole a quarter longer.
pub(crate) const STEP: usize = 256;
/// What removing an entry takes, beside its value.
const REMOVAL: usize = 15;
/// How many bytes of a value are zeroed and given back in the time of a look.
const BYTES_A_LOOK: u32 = 1024;
/// What it takes to lock a stripe, or to find a place in a tree.
pub(crate) const PLACE: usize = 4;

impl Budget {
    pub(crate) fn of_a_step() -> Self {
        Self(STEP)
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.0 == 0
    }

    pub(crate) fn find_place(&mut self) {
        self.spend(PLACE);
    }

    pub(crate) fn look(&mut self) {
        self.spend(1);
    }

    /// To remove an entry of this weight that was looked at.
    pub(crate) fn remove(&mut self, weight: u32) {
        self.spend(REMOVAL + (weight / BYTES_A_LOOK) as usize);
    }

    /// To remove something that is about as much work as an entry.
    pub(crate) fn remove_other(&mut self) {
        self.spend(REMOVAL);
    }

    fn spend(&mut self, looks: usize) {
        self.0 = self.0.saturating_sub(looks);
    }
}
