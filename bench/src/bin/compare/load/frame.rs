//! The frames of HTTP/2 (RFC 9113) that a caller sends and meets.

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame before its payload.
pub(super) const HEAD: usize = 9;
/// As large as a window may be, so that answers never wait for one.
pub(super) const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// The window of a connection, and of a stream, before anybody changes it.
pub(super) const FIRST_WINDOW: u32 = 65_535;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

const SETTINGS_ENABLE_PUSH: u16 = 2;
const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;

/// What stands before a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, s, t, u, v] = bytes.first_chunk::<HEAD>()?;
        Some(Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s & 0x7f, t, u, v]),
        })
    }
}

/// Appends a frame.
pub(super) fn write(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    // No payload here comes near 2²⁴ bytes: a frame's most is 16 KiB.
    let [.., a, b, c] = payload.len().to_be_bytes();
    out.extend([a, b, c, kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends what a caller begins with: no pushes, and windows that never close.
pub(super) fn write_greeting(out: &mut Vec<u8>) {
    out.extend_from_slice(PREFACE);
    let mut settings = Vec::new();
    for (name, value) in [
        (SETTINGS_ENABLE_PUSH, 0),
        (SETTINGS_INITIAL_WINDOW_SIZE, LARGEST_WINDOW),
    ] {
        settings.extend(name.to_be_bytes());
        settings.extend(value.to_be_bytes());
    }
    write(out, SETTINGS, 0, 0, &settings);
    write_window_update(out, LARGEST_WINDOW - FIRST_WINDOW);
}

/// Appends an update of the connection's window.
pub(super) fn write_window_update(out: &mut Vec<u8>, more: u32) {
    write(out, WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_of_a_written_frame_reads_as_it_was_written() {
        let mut out = Vec::new();
        write(&mut out, DATA, END_STREAM, 0x0102_0305, &[7; 300]);
        let head = Head {
            length: 300,
            kind: DATA,
            flags: END_STREAM,
            stream: 0x0102_0305,
        };
        assert_eq!(Head::read(&out), Some(head));
        assert_eq!(out.len(), HEAD + 300);
    }

    #[test]
    fn half_a_head_is_no_head() {
        assert_eq!(Head::read(&[0; HEAD - 1]), None);
    }
}
