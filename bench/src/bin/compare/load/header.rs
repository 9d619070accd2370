//! The headers of a request, compressed (HPACK, RFC 7541) as any client would:
//! in full the first time on a connection, as one byte each from then on.

/// Names that both sides know, by their index there.
const AUTHORITY: u8 = 1;
const PATH: u8 = 4;
const CONTENT_TYPE: u8 = 31;
/// Whole fields that both sides know: `:method: POST` and `:scheme: http`.
const POST_OVER_HTTP: [u8; 2] = [0x80 | 3, 0x80 | 6];
/// Indexes from here on are what the connection itself has taught.
const STATIC_FIELDS: usize = 61;

/// What this connection has taught its peer, in order.
#[derive(Default)]
pub(super) struct Compressor(Vec<(Name, &'static str)>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Known(u8),
    Spelled(&'static str),
}

impl Compressor {
    /// Appends the headers of a call to `path`.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, path: &'static str) {
        out.extend(POST_OVER_HTTP);
        self.field(out, Name::Known(AUTHORITY), "localhost");
        self.field(out, Name::Known(PATH), path);
        self.field(out, Name::Known(CONTENT_TYPE), "application/grpc");
        self.field(out, Name::Spelled("te"), "trailers");
    }

    fn field(&mut self, out: &mut Vec<u8>, name: Name, value: &'static str) {
        let taught = self.0.iter().position(|field| *field == (name, value));
        if let Some(place) = taught {
            // The last taught has the lowest index.
            out.push(0x80 | byte(STATIC_FIELDS + self.0.len() - place));
            return;
        }
        match name {
            Name::Known(index) => out.push(0x40 | index),
            Name::Spelled(name) => {
                out.push(0x40);
                text(out, name);
            }
        }
        text(out, value);
        self.0.push((name, value));
    }
}

/// Plain, not Huffman-coded.
fn text(out: &mut Vec<u8>, text: &str) {
    out.push(byte(text.len()));
    out.extend_from_slice(text.as_bytes());
}

/// Below 127, as every index and length here is, a number is one byte.
fn byte(number: usize) -> u8 {
    debug_assert!(number < 127);
    u8::try_from(number).unwrap_or(126)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(compressor: &mut Compressor, path: &'static str) -> Vec<u8> {
        let mut out = Vec::new();
        compressor.write(&mut out, path);
        out
    }

    #[test]
    fn headers_are_spelled_once_and_then_named_by_index() {
        let mut compressor = Compressor::default();
        let mut first = vec![0x83, 0x86, 0x41, 9];
        first.extend(b"localhost");
        first.extend([0x44, 2]);
        first.extend(b"/a");
        first.extend([0x5f, 16]);
        first.extend(b"application/grpc");
        first.extend([0x40, 2]);
        first.extend(b"te");
        first.push(8);
        first.extend(b"trailers");
        assert_eq!(written(&mut compressor, "/a"), first);
        // te is the last taught: 62.
        let again = [0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62];
        assert_eq!(written(&mut compressor, "/a"), again);
    }

    #[test]
    fn another_path_is_taught_and_moves_the_rest() {
        let mut compressor = Compressor::default();
        written(&mut compressor, "/a");
        let other = [
            0x83,
            0x86,
            0x80 | 65,
            0x44,
            2,
            b'/',
            b'b',
            0x80 | 64,
            0x80 | 63,
        ];
        assert_eq!(written(&mut compressor, "/b"), other);
        let again = [0x83, 0x86, 0x80 | 66, 0x80 | 65, 0x80 | 64, 0x80 | 63];
        assert_eq!(written(&mut compressor, "/a"), again);
    }
}
