//! The address of a server, as people write it.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use tonic::transport::Endpoint;

/// The address of a server: `host:port`, `http://host:port` or `unix:PATH`.
///
/// An IPv6 host stands in brackets: `[::1]:50051`.
///
/// ```
/// use credcache_client::{Address, AddressError};
///
/// let address: Address = "unix:/run/credcache/credcache.sock".parse()?;
/// assert_eq!("localhost".parse::<Address>(), Err(AddressError::Port));
/// # Ok::<(), AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Tcp { host: String, port: u16 },
    Unix { path: String },
}

impl Address {
    pub(crate) fn endpoint(&self) -> Result<Endpoint, AddressError> {
        let uri = match &self.0 {
            Kind::Tcp { .. } => format!("http://{self}"),
            Kind::Unix { .. } => self.to_string(),
        };
        Endpoint::from_shared(uri).map_err(|_| AddressError::Host)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            // As in gRPC's own names, `unix:///run/x` is `unix:/run/x`.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains('\0') {
                return Err(AddressError::Path);
            }
            return Ok(Self(Kind::Unix { path: path.into() }));
        }
        let authority = match text.split_once("://") {
            None => text,
            Some(("http", rest)) => rest.strip_suffix('/').unwrap_or(rest),
            Some(_) => return Err(AddressError::Scheme),
        };
        let (host, port) = authority.rsplit_once(':').ok_or(AddressError::Port)?;
        if !is_host(host) {
            return Err(AddressError::Host);
        }
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self(Kind::Tcp {
                host: host.into(),
                port,
            })),
            _ => Err(AddressError::Port),
        }
    }
}

fn is_host(host: &str) -> bool {
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed
            .strip_suffix(']')
            .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
    }
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp { host, port } => write!(f, "{host}:{port}"),
            Kind::Unix { path } => write!(f, "unix:{path}"),
        }
    }
}

/// Why a text isn't the address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Neither a name nor an IPv4 address nor a bracketed IPv6 address.
    #[error("the host must be a name, an IPv4 address or an IPv6 address in brackets")]
    Host,
    /// The port is missing, zero or no number.
    #[error("the address must end with a port from 1 to 65535, as in 127.0.0.1:50051")]
    Port,
    /// `unix:` without a path behind it.
    #[error("unix: must be followed by the path of a socket")]
    Path,
    /// A scheme other than `http`.
    #[error("the address must be host:port, http://host:port or unix:PATH")]
    Scheme,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_address_is_understood() {
        for (text, shown) in [
            ("127.0.0.1:50051", "127.0.0.1:50051"),
            ("http://cache.mesh.internal:80", "cache.mesh.internal:80"),
            ("http://localhost:1/", "localhost:1"),
            ("[::1]:65535", "[::1]:65535"),
            ("unix:/run/credcache.sock", "unix:/run/credcache.sock"),
            ("unix:///run/credcache.sock", "unix:/run/credcache.sock"),
            ("unix:relative.sock", "unix:relative.sock"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(address.endpoint().is_ok(), "{text}");
        }
    }

    #[test]
    fn every_other_text_says_what_is_wrong_with_it() {
        for (text, error) in [
            ("", AddressError::Port),
            ("localhost", AddressError::Port),
            ("localhost:", AddressError::Port),
            ("localhost:0", AddressError::Port),
            ("localhost:65536", AddressError::Port),
            ("http://localhost:1/path", AddressError::Port),
            (":50051", AddressError::Host),
            ("::1:50051", AddressError::Host),
            ("[::1:50051", AddressError::Host),
            ("[localhost]:50051", AddressError::Host),
            ("user@localhost:50051", AddressError::Host),
            ("two words:50051", AddressError::Host),
            ("https://localhost:50051", AddressError::Scheme),
            ("tcp://localhost:50051", AddressError::Scheme),
            ("unix:", AddressError::Path),
            ("unix://", AddressError::Path),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text:?}");
        }
    }
}
