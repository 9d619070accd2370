//! The content of a credential: value, tags and attributes.

use crate::model::{attributes::Attributes, secret::Secret, tags::Tags};

/// The content of a credential to store.
#[derive(Debug)]
pub struct Contents {
    /// The secret value.
    pub value: Secret,
    /// The tags that an invalidation can find the credential by.
    pub tags: Tags,
    /// Text that is stored and returned with the value.
    pub attributes: Attributes,
}
