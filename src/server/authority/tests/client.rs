//! An HTTP/2 client that can encode the same fields in every possible way.

use std::collections::VecDeque;

use super::super::{HEADERS, PADDED, PRIORITY, huffman};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const SETTINGS: u8 = 4;
pub(super) const DATA: u8 = 0;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 0x01;
pub(super) const END_HEADERS: u8 = 0x04;

/// How a field is encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) huffman: bool,
    pub(super) remembered: bool,
    pub(super) name_as_text: bool,
    pub(super) by_number: bool,
}

/// A call: its authority, and its other fields with the numbers of their names.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) authority: String,
    pub(super) headers: Vec<(u8, usize)>,
    pub(super) forms: Vec<Form>,
    /// Priority and padding.
    pub(super) dressing: (bool, Option<u8>),
}

/// An independent implementation of HPACK's encoder.
#[derive(Default)]
pub(super) struct Encoder {
    known: VecDeque<(String, String)>,
    size: usize,
}

impl Encoder {
    pub(super) fn field(
        &mut self,
        out: &mut Vec<u8>,
        number: u8,
        name: &str,
        value: &str,
        form: Form,
    ) {
        let known = |(n, v): &(String, String)| n == name && v == value;
        if form.by_number
            && let Some(nth) = self.known.iter().position(known)
        {
            return number_into(out, 0x80, 7, 62 + nth);
        }
        let (first, prefix) = if form.remembered { (0x40, 6) } else { (0, 4) };
        if form.name_as_text || number == 0 {
            out.push(first);
            text_into(out, name, form.huffman);
        } else {
            number_into(out, first, prefix, number.into());
        }
        text_into(out, value, form.huffman);
        if form.remembered {
            self.remember(name, value);
        }
    }

    fn remember(&mut self, name: &str, value: &str) {
        let size = |(name, value): &(String, String)| name.len() + value.len() + 32;
        let entry = (name.to_owned(), value.to_owned());
        self.size += size(&entry);
        self.known.push_front(entry);
        while self.size > 4096 {
            self.size -= size(&self.known.pop_back().unwrap());
        }
    }
}

fn number_into(out: &mut Vec<u8>, first: u8, prefix: u32, number: usize) {
    let most = (1 << prefix) - 1;
    if number < most {
        return out.push(first | u8::try_from(number).unwrap());
    }
    out.push(first | u8::try_from(most).unwrap());
    let mut rest = number - most;
    while rest > 0x7f {
        out.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    out.push(rest.try_into().unwrap());
}

/// Writes a text, in Huffman's code if the table has all its characters and the code isn't much
/// longer: clients don't use a code that has no authority of its length.
fn text_into(out: &mut Vec<u8>, text: &str, huffman: bool) {
    match huffman::tests::encode(text.as_bytes()) {
        Some(encoded) if huffman && 2 * encoded.len() <= 3 * text.len() => {
            number_into(out, 0x80, 7, encoded.len());
            out.extend(encoded);
        }
        _ => {
            number_into(out, 0, 7, text.len());
            out.extend(text.as_bytes());
        }
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [len[1], len[2], len[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

pub(super) fn header(name: u8, len: usize) -> (String, String) {
    (format!("x-{}", char::from(b'a' + name)), "v".repeat(len))
}

/// The bytes that a client sends.
pub(super) fn conversation(calls: &[Sent]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for (sent, stream) in calls.iter().zip((1..).step_by(2)) {
        let mut forms = sent.forms.iter().copied().cycle();
        let mut form = || forms.next().unwrap();
        let mut block = vec![0x83, 0x86];
        encoder.field(&mut block, 4, ":path", "/a/B", form());
        encoder.field(&mut block, 1, ":authority", &sent.authority, form());
        for (name, len) in &sent.headers {
            let (name, value) = header(*name, *len);
            encoder.field(&mut block, 0, &name, &value, form());
        }
        let (priority, padding) = sent.dressing;
        let mut payload = Vec::new();
        let mut flags = END_HEADERS;
        if let Some(padding) = padding {
            flags |= PADDED;
            payload.push(padding);
        }
        if priority {
            flags |= PRIORITY;
            payload.extend([0, 0, 0, 0, 9]);
        }
        payload.extend(block);
        payload.extend(vec![0; padding.unwrap_or(0).into()]);
        bytes.extend(frame(HEADERS, flags, stream, &payload));
        bytes.extend(frame(
            DATA,
            END_STREAM,
            stream,
            b"not a head \x00\x00\x05\x01\x04",
        ));
    }
    bytes
}

pub(super) fn call(authority: &str, huffman: bool, name_as_text: bool) -> Sent {
    let form = Form {
        huffman,
        remembered: true,
        name_as_text,
        by_number: true,
    };
    Sent {
        authority: authority.to_owned(),
        headers: vec![(0, 3)],
        forms: vec![form],
        dressing: (false, None),
    }
}
