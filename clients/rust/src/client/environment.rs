//! The only reader of the environment.

use std::{env, ffi::OsString};

use super::builder::ClientBuilder;
use crate::{Address, AddressError, Client, Error};

/// The address of the server if nothing names another.
const DEFAULT: &str = "127.0.0.1:50051";

impl Address {
    /// Returns the address that `CREDCACHE_SERVER` holds, or `127.0.0.1:50051` if
    /// the variable is unset or empty: the server that `credcache get` would ask.
    ///
    /// # Errors
    ///
    /// Returns an [`AddressError`] if the variable holds something else.
    #[allow(
        clippy::disallowed_methods,
        reason = "this file is the reader of the environment"
    )]
    pub fn from_env() -> Result<Self, AddressError> {
        address(env::var_os("CREDCACHE_SERVER"))
    }
}

impl Client {
    /// Connects with the default settings to the server that
    /// [`Address::from_env`] names.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Address`] if the variable holds no address, and
    /// [`Error::Unreachable`] if the server isn't there, after one attempt.
    pub async fn from_env() -> Result<Self, Error> {
        ClientBuilder::default()
            .connect(&Address::from_env()?)
            .await
    }
}

fn address(value: Option<OsString>) -> Result<Address, AddressError> {
    match value.filter(|value| !value.is_empty()) {
        None => DEFAULT.parse(),
        // What isn't UTF-8 is no address either.
        Some(value) => value.to_string_lossy().parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_that_is_set_but_empty_counts_as_unset() {
        for (value, expected) in [
            (None, DEFAULT),
            (Some(""), DEFAULT),
            (Some("unix:/run/credcache.sock"), "unix:/run/credcache.sock"),
        ] {
            let address = address(value.map(OsString::from)).unwrap();
            assert_eq!(address.to_string(), expected);
        }
        assert!(address(Some("https://localhost:1".into())).is_err());
    }
}
