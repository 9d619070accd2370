//! Where a key is looked up.

use crate::{
    Client, Error,
    judged::SharedCredential,
    lookup::{GetOptions, LookupResponse},
};

/// Where a key is looked up: at the server, or at the server with its answers kept
/// in a near cache.
pub(crate) trait Source {
    /// Asks the server once, through `client`, within its timeout and retries. The
    /// credential of the answer may have expired on its way.
    fn lookup(
        &self,
        client: &Client,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> impl Future<Output = Result<LookupResponse<SharedCredential>, Error>> + Send;
}

/// The server alone: its answers are kept nowhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uncached;

impl Source for Uncached {
    async fn lookup(
        &self,
        client: &Client,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> Result<LookupResponse<SharedCredential>, Error> {
        client.ask(namespace, key, options).await
    }
}
