//! Credentials cached in the process, kept coherent by the server's watch.

mod builder;
mod cache;
mod fills;
mod namespace_cache;
mod sharded_counter;
mod store;
mod watch_task;

pub use builder::NearCacheBuilder;
pub use cache::NearCache;
pub use namespace_cache::NearCacheStats;
