//! Listen addresses, parsed.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use toml::Value;

#[cfg(test)]
use super::form::Samples;
use super::form::{Flag, Form, Problem, shown};

/// The longest path of a Unix socket that the kernel accepts, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    /// An IP address and a port. Port 0 means any free port.
    Ip(SocketAddr),
    /// A name to resolve when the server starts, and a port.
    Host {
        /// The name.
        name: String,
        /// The port. 0 means any free port.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl ListenAddr {
    /// Whether only this host can reach the address. `localhost` is the only name for which this is
    /// true; the addresses behind the name are checked when they are bound.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Ip(address) => is_loopback(*address),
            Self::Host { name, .. } => name.eq_ignore_ascii_case("localhost"),
            Self::Unix(_) => true,
        }
    }
}

/// Whether the address is a loopback address, including IPv4 inside IPv6.
pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

impl FromStr for ListenAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let (name, port) = text
            .rsplit_once(':')
            .ok_or_else(|| format!("{text:?} has no port"))?;
        let port = port
            .parse()
            .map_err(|_| format!("{text:?} has no port from 0 to 65535"))?;
        if !is_host_name(name) {
            return Err(format!(
                "{text:?} has neither an IP address nor a host name"
            ));
        }
        Ok(Self::Host {
            name: name.to_owned(),
            port,
        })
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Host { name, port } => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn socket_path(path: &str) -> Result<ListenAddr, String> {
    if path.is_empty() || path.contains('\0') {
        return Err(format!("{path:?} isn't the path of a socket"));
    }
    if path.len() > MAX_SOCKET_PATH {
        return Err(format!("{path:?} is longer than {MAX_SOCKET_PATH} bytes"));
    }
    Ok(ListenAddr::Unix(path.into()))
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    // A last label of digits alone is a mistyped IPv4 address.
    let last_is_number = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.split('.').all(label) && !last_is_number
}

/// A list of at least one address.
pub(super) struct Addresses;

impl Form for Addresses {
    type Value = Vec<ListenAddr>;

    fn accepts(&self, _example: Option<&Vec<ListenAddr>>) -> String {
        "a list of host:port (port 0 = any) or unix:PATH".into()
    }

    fn read(&self, value: &Value) -> Result<Vec<ListenAddr>, Problem> {
        let addresses: Vec<ListenAddr> = match value {
            Value::String(list) => list.split(',').map(|text| text.trim().parse()).collect(),
            Value::Array(items) => items
                .iter()
                .map(|item| {
                    item.as_str()
                        .ok_or_else(|| format!("{} isn't text", shown(item)))?
                        .parse()
                })
                .collect(),
            _ => Err(format!("{} isn't a list", shown(value))),
        }?;
        if addresses.is_empty() {
            return Err("the list is empty".into());
        }
        Ok(addresses)
    }

    fn write(&self, value: &Vec<ListenAddr>) -> Option<Value> {
        let texts = value.iter().map(|address| address.to_string().into());
        Some(Value::Array(texts.collect()))
    }

    fn flag(&self) -> Flag {
        Flag::Repeatable("ADDR")
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        Samples::new(
            &[
                "['127.0.0.1:0']",
                "'[::1]:7,unix:/a b'",
                "['localhost:1', 'unix:./c,d']",
            ],
            &[
                "[]",
                "''",
                "'nowhere'",
                "[1]",
                "['::1:5x']",
                "['1.2.3.400:5']",
                "['unix:']",
                "{}",
                "'a..b:1'",
                "['0.0.0.0:1']",
                "['127.0.0.1:65536']",
            ],
        )
    }
}
