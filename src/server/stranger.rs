//! Clients that don't speak HTTP/2: their protocol, by their first bytes, and the log line about
//! it.
//!
//! The bytes themselves are never logged, because they may be a secret.

use std::time::Duration;

use parking_lot::Mutex;
use tracing::warn;

use super::{bound_addr::BoundAddr, log_throttle::LogThrottle};

/// The bytes that every HTTP/2 client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The beginnings of HTTP/1 requests.
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"PATCH ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"TRACE ",
];
/// The beginning of a TLS handshake record of any version.
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];
/// The beginnings of a PROXY header, as text and as binary.
const PROXY_HEADERS: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];
/// The least time between two log lines about one protocol at one address: a misconfigured probe
/// comes every few seconds, for months.
const INTERVAL: Duration = Duration::from_secs(60);

/// The response to an HTTP/1 request, for people who try one by hand.
pub(super) const HTTP1_ANSWER: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\
    content-type: text/plain\r\n\
    content-length: 100\r\n\
    connection: close\r\n\
    \r\n\
    credcache speaks gRPC, over HTTP/2 without TLS. Use a gRPC client, such as grpcurl -plaintext, here\n";

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Tls,
    ProxyHeader,
    Other,
}

/// The clients of one address that don't speak HTTP/2.
#[derive(Debug)]
pub(super) struct Strangers {
    address: BoundAddr,
    /// Indexed by protocol.
    throttles: Mutex<[LogThrottle; 4]>,
    abuse: Mutex<LogThrottle>,
}

/// The number of preface bytes that have come, when `read` follows `matched` of them. The preface
/// is complete at [`preface_len`].
///
/// # Errors
/// The protocol of a client whose bytes aren't the preface.
pub(super) fn match_preface(matched: usize, read: &[u8]) -> Result<usize, Protocol> {
    let (before, expected) = PREFACE.split_at(matched);
    let compared = read.len().min(expected.len());
    if read[..compared] == expected[..compared] {
        return Ok(matched + compared);
    }
    Err(Protocol::of(&[before, read].concat()))
}

/// The length of the preface in bytes.
pub(super) const fn preface_len() -> usize {
    PREFACE.len()
}

impl Protocol {
    /// The protocol that may begin with these bytes. More bytes may be on their way.
    fn of(opening: &[u8]) -> Self {
        let begins = |with: &[u8]| {
            let compared = opening.len().min(with.len());
            opening[..compared] == with[..compared]
        };
        if METHODS.into_iter().any(begins) {
            Self::Http1
        } else if begins(TLS_HANDSHAKE) {
            Self::Tls
        } else if PROXY_HEADERS.into_iter().any(begins) {
            Self::ProxyHeader
        } else {
            Self::Other
        }
    }
}

impl Strangers {
    pub(super) fn new(address: BoundAddr) -> Self {
        let throttles = [(); 4].map(|()| LogThrottle::every(INTERVAL));
        Self {
            address,
            throttles: Mutex::new(throttles),
            abuse: Mutex::new(LogThrottle::every(INTERVAL)),
        }
    }

    /// Counts a client whose connection was closed for its control frames, and logs it when the
    /// interval allows.
    pub(super) fn abused(&self) {
        if let Some(count) = self.abuse.lock().record() {
            let address = &self.address;
            warn!(
                %address, count,
                "a client sends control frames (SETTINGS, PING, PRIORITY, WINDOW_UPDATE, resets) \
                 at a rate that no gRPC client needs: its connection was closed"
            );
        }
    }

    /// Counts a client, and logs a line if one is due.
    pub(super) fn met(&self, protocol: Protocol) {
        let Some(count) = self.throttles.lock()[protocol as usize].record() else {
            return;
        };
        let address = &self.address;
        match protocol {
            Protocol::Http1 => warn!(
                %address, count,
                "a client speaks HTTP/1 to an address that accepts only gRPC over HTTP/2: use a \
                 gRPC client, a gRPC probe or `credcache health`"
            ),
            Protocol::Tls => warn!(
                %address, count,
                "a client speaks TLS to an address without TLS: use http:// or plaintext, or a \
                 proxy that terminates TLS"
            ),
            Protocol::ProxyHeader => warn!(
                %address, count,
                "a proxy sends a PROXY header, which this address doesn't accept: turn the header \
                 off at the proxy"
            ),
            Protocol::Other => warn!(
                %address, count,
                "a client speaks an unknown protocol to an address that accepts only gRPC over \
                 HTTP/2: check what connects to it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result for bytes that come in two parts.
    fn read(opening: &[u8], first: usize) -> Result<usize, Protocol> {
        let (first, second) = opening.split_at(first);
        match match_preface(0, first) {
            Ok(matched) => match_preface(matched, second),
            stranger => stranger,
        }
    }

    #[test]
    fn preface_is_known_however_it_is_cut_and_whatever_follows() {
        let sent = [PREFACE, b"\0\0\0\x04"].concat();
        for first in 0..=sent.len() {
            assert_eq!(read(&sent, first), Ok(preface_len()), "{first}");
        }
        assert_eq!(read(&PREFACE[..5], 2), Ok(5));
    }

    #[test]
    fn other_protocols_are_known_by_their_first_bytes() {
        let cases: [(&[u8], Protocol); 8] = [
            (b"GET / HTTP/1.1\r\n", Protocol::Http1),
            (b"POST /a HTTP/1.1\r\n", Protocol::Http1),
            (b"PUT /", Protocol::Http1),
            (&[0x16, 3, 1, 2, 0, 1], Protocol::Tls),
            (b"PROXY TCP4 10.0.0.1", Protocol::ProxyHeader),
            (b"\r\n\r\n\0\r\nQUIT\n!", Protocol::ProxyHeader),
            (b"SSH-2.0-", Protocol::Other),
            (b"PRI * HTTP/3", Protocol::Other),
        ];
        for (opening, protocol) in cases {
            assert_eq!(read(opening, 0), Err(protocol), "{opening:?}");
            let first = opening.len() - 1;
            assert_eq!(read(opening, first), Err(protocol), "{opening:?}");
        }
    }

    #[test]
    fn http1_answer_is_as_long_as_it_says() {
        let answer = std::str::from_utf8(HTTP1_ANSWER).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
    }
}
