//! Small facts of an entry in one word.

use std::time::Duration;

use crate::model::tier_spec::TierId;

/// The refresh lead in nanoseconds, the tier, and whether there are attributes, in one word. It is
/// packed so that an entry's node fits one of the allocator's size classes.
#[derive(Clone, Copy)]
pub(super) struct PackedMeta(u64);

impl PackedMeta {
    /// No lead, the first tier and no attributes.
    pub(super) const NONE: Self = Self(0);

    const TIER_BITS: u32 = 4;
    const LEAD_SHIFT: u32 = Self::TIER_BITS + 1;
    /// About 18 years, in nanoseconds.
    const MAX_LEAD: u64 = u64::MAX >> Self::LEAD_SHIFT;

    pub(super) fn new(refresh_lead: Duration, tier: TierId, has_attributes: bool) -> Self {
        let lead = u64::try_from(refresh_lead.as_nanos()).unwrap_or(u64::MAX);
        let lead = lead.min(Self::MAX_LEAD) << Self::LEAD_SHIFT;
        Self(lead | u64::from(tier.number()) << 1 | u64::from(has_attributes))
    }

    pub(super) fn refresh_lead(self) -> Duration {
        Duration::from_nanos(self.0 >> Self::LEAD_SHIFT)
    }

    pub(super) fn tier(self) -> TierId {
        TierId::new(self.0.to_le_bytes()[0] >> 1 & ((1 << Self::TIER_BITS) - 1))
    }

    pub(super) fn has_attributes(self) -> bool {
        self.0 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::MAX_TIERS;

    #[test]
    fn lead_tier_and_attributes_do_not_get_in_each_others_way() {
        const { assert!(MAX_TIERS <= 1 << PackedMeta::TIER_BITS) };
        let ten_years = Duration::from_secs(10 * 366 * 24 * 3600);
        for lead in [Duration::ZERO, Duration::from_nanos(1), ten_years] {
            for tier in [0, 1, 15].map(TierId::new) {
                for has_attributes in [false, true] {
                    let meta = PackedMeta::new(lead, tier, has_attributes);
                    assert_eq!(meta.refresh_lead(), lead);
                    assert_eq!(meta.tier(), tier);
                    assert_eq!(meta.has_attributes(), has_attributes);
                }
            }
        }
        let longest = PackedMeta::new(Duration::MAX, TierId::new(3), true);
        assert_eq!(longest.tier(), TierId::new(3));
        assert!(longest.refresh_lead() > ten_years);
    }
}
