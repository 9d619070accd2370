//! HPACK's Huffman code, for the characters of authorities.
//!
//! The code is canonical: codes of one length follow each other, and shorter codes come before
//! longer ones. The lengths and the order of the characters therefore define the whole code.

/// The codes of one length.
struct Row {
    /// The length in bits.
    bits: u32,
    /// The number of codes.
    count: u32,
    /// The characters of these codes, where an authority may contain them or similar ones.
    text: &'static [u8],
}

const fn row(bits: u32, count: u32, text: &'static [u8]) -> Row {
    assert!(text.is_empty() || text.len() == count as usize);
    Row { bits, count, text }
}

/// All codes but the code of 30 ones, which marks the end and isn't allowed.
const ROWS: [Row; 21] = [
    row(5, 10, b"012aceiost"),
    row(6, 26, b" %-./3456789=A_bdfghlmnpru"),
    row(7, 32, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    row(8, 6, b"&*,;XZ"),
    row(10, 5, b"!\"()?"),
    row(11, 3, b"'+|"),
    row(12, 2, b"#>"),
    row(13, 6, b"\0$@[]~"),
    row(14, 2, b"^}"),
    row(15, 3, b"<`{"),
    row(19, 3, b""),
    row(20, 8, b""),
    row(21, 13, b""),
    row(22, 26, b""),
    row(23, 29, b""),
    row(24, 12, b""),
    row(25, 4, b""),
    row(26, 15, b""),
    row(27, 19, b""),
    row(28, 29, b""),
    row(30, 3, b""),
];
/// The replacement for characters that an authority can't contain.
const OTHER: u8 = b' ';
/// The most bits that may follow the last code.
const PADDING: usize = 7;

/// `~`, which has a code of the greatest length in an authority, and `a`, which has one of the
/// shortest. Padding makes up for the difference.
const LONG: (u32, usize) = (0x1ffd, 13);
const SHORT: (u32, usize) = (0x03, 5);

/// Decodes a text, with spaces for characters that an authority can't contain. `None` if the bytes
/// aren't in this code.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let len = bytes.len() * 8;
    let mut text = Vec::with_capacity(len / SHORT.1);
    let mut at = 0;
    while let Some((byte, bits)) = next(window(bytes, at)) {
        at += bits;
        if at > len {
            return None;
        }
        text.push(byte);
    }
    // The padding is of ones, and too short for a code.
    (len - at <= PADDING).then_some(text)
}

/// The 32 bits from bit `at` on, with ones after the last byte.
fn window(bytes: &[u8], at: usize) -> u32 {
    let mut window = u64::MAX;
    for byte in (0..5).map(|nth| bytes.get(at / 8 + nth)) {
        window = window << 8 | u64::from(*byte.unwrap_or(&0xff));
    }
    u32::try_from(window << (24 + at % 8) >> 32).unwrap_or(u32::MAX)
}

/// The character of the first code and the code's length, or `None` if the window has only ones.
fn next(window: u32) -> Option<(u8, usize)> {
    let mut first = 0;
    for row in &ROWS {
        let nth = (window - first) >> (32 - row.bits);
        if nth < row.count {
            let byte = row.text.get(nth as usize).unwrap_or(&OTHER);
            return Some((*byte, row.bits as usize));
        }
        first += row.count << (32 - row.bits);
    }
    None
}

/// Fills the bytes with an authority of `chars` characters that takes exactly these bytes. Leaves
/// the bytes unchanged if there is no such authority: then nearly all their characters are control
/// characters.
pub(super) fn fill(bytes: &mut [u8], chars: usize) {
    let spare = bytes.len() * 8 - chars * SHORT.1;
    let long = spare.saturating_sub(PADDING).div_ceil(LONG.1 - SHORT.1);
    if long > chars {
        return;
    }
    let (mut bits, mut len) = (0_u32, 0);
    let mut codes = (0..chars).map(|nth| if nth < long { LONG } else { SHORT });
    for byte in bytes {
        while len < 8 {
            // At the end, padding.
            let (code, more) = codes.next().unwrap_or((0xff, 8));
            bits = bits << more | code;
            len += more;
        }
        len -= 8;
        *byte = (bits >> len).to_be_bytes()[3];
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns `None` if a character's code isn't in the table.
    pub(in super::super) fn encode(text: &[u8]) -> Option<Vec<u8>> {
        let mut bits = Vec::new();
        for byte in text {
            let (code, len) = code(*byte)?;
            bits.extend((0..len).rev().map(|nth| code >> nth & 1 == 1));
        }
        bits.resize(bits.len().next_multiple_of(8), true);
        let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        Some(bits.chunks(8).map(byte).collect())
    }

    fn code(byte: u8) -> Option<(u32, u32)> {
        let mut first = 0;
        for row in &ROWS {
            if let Some(nth) = row.text.iter().position(|one| *one == byte) {
                let nth = u32::try_from(nth).unwrap();
                return Some(((first >> (32 - row.bits)) + nth, row.bits));
            }
            first += row.count << (32 - row.bits);
        }
        None
    }

    #[test]
    fn codes_are_all_there_are() {
        // Together with the code of 30 ones, the codes leave no room for another one.
        let taken = ROWS
            .iter()
            .map(|row| u64::from(row.count) << (30 - row.bits));
        assert_eq!(taken.sum::<u64>() + 1, 1 << 30);
        assert_eq!(ROWS.iter().map(|row| row.count).sum::<u32>(), 256);
    }

    #[test]
    fn texts_of_the_standard_are_read() {
        // RFC 7541, C.4.
        let www = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        assert_eq!(decode(&www).unwrap(), b"www.example.com");
        let no_cache = [0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf];
        assert_eq!(decode(&no_cache).unwrap(), b"no-cache");
    }

    #[test]
    fn what_is_not_in_this_code_is_not_read() {
        for bytes in [
            // A byte of padding, and the code of 30 ones.
            &[0xff][..],
            &[0xff; 4],
            // Zeros at the end, and an incomplete code.
            &[0x18],
            &[0x1f, 0xfe],
        ] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
        assert_eq!(decode(&[]).unwrap(), b"");
    }

    #[test]
    fn filled_in_authority_has_as_many_characters() {
        for chars in 0..200_usize {
            for len in (chars * 5).div_ceil(8)..=chars * 13 / 8 {
                let mut bytes = vec![0xff; len];
                fill(&mut bytes, chars);
                let text = decode(&bytes).unwrap();
                assert_eq!(text.len(), chars);
                assert!(text.iter().all(|byte| b"a~".contains(byte)));
            }
        }
    }
}
