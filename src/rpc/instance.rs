//! The run of the server that answers.

use credcache_core::WallTime;

/// One run of the server.
#[derive(Clone, Debug)]
pub struct Instance {
    id: String,
    pub(super) started_at: WallTime,
}

impl Instance {
    /// Creates an instance with a random id.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(started_at: WallTime) -> Result<Self, getrandom::Error> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        Ok(Self {
            id: format!("{:032x}", u128::from_be_bytes(id)),
            started_at,
        })
    }

    /// The id: 128 random bits in hexadecimal.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}
