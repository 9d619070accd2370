//! What a Put brings besides its name and lifetime.

use crate::model::{attributes::Attributes, secret::Secret, tags::Tags};

/// What a Put brings besides its name and lifetime.
#[derive(Debug)]
pub struct Contents {
    /// The value.
    pub value: Secret,
    /// The labels Invalidate can find it by: sorted, each once.
    pub tags: Tags,
    /// Text kept beside the value.
    pub attributes: Attributes,
}
