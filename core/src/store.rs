//! Storage: entries, the labels that entries share, and the tiers that hold entries.

pub(crate) mod alloc_size;
pub(crate) mod entry;
pub(crate) mod labels;
pub(crate) mod namespaces;
pub(crate) mod tier;
pub(crate) mod tier_hints;
