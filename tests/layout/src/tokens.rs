//! Splits a source into words and signs, without comments, literals and code for tests.

/// Splits a source. `::` is one token.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => text(rest),
            'r' | 'b' | 'c' if literal_prefix(rest).is_some() => {
                literal_prefix(rest).unwrap_or(rest.len())
            }
            '\'' => character(rest),
            first if first.is_alphanumeric() || first == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let word = &rest[..end.unwrap_or(rest.len())];
                tokens.push(word.to_owned());
                word.len()
            }
            ':' if rest.starts_with("::") => {
                tokens.push("::".to_owned());
                2
            }
            first => {
                if !first.is_whitespace() {
                    tokens.push(first.to_string());
                }
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    without_tests(&tokens)
}

/// The length of a string literal, from its quotation mark.
fn text(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    rest.len()
}

/// The length of a raw string, byte string or C string, if there is one.
fn literal_prefix(rest: &str) -> Option<usize> {
    let prefix = rest.len() - rest.trim_start_matches(['r', 'b', 'c']).len();
    let body = &rest[prefix..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    if prefix > 2 || !body[hashes..].starts_with('"') {
        return None;
    }
    if !rest[..prefix].contains('r') {
        return (hashes == 0).then(|| prefix + text(body));
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = prefix + hashes + 1;
    let length = rest[begin..].find(&end)?;
    Some(begin + length + end.len())
}

/// The length of a character literal, or of the mark of a lifetime.
fn character(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let behind = at + escaped.len_utf8();
            rest[behind..].find('\'').map_or(1, |end| behind + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// Removes every item with `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let Some((first, others)) = rest.split_first() {
        if rest.len() >= TEST.len() && rest.iter().zip(TEST).all(|(token, test)| token == test) {
            rest = &rest[TEST.len() + item(&rest[TEST.len()..])..];
        } else {
            kept.push(first.clone());
            rest = others;
        }
    }
    kept
}

/// The number of tokens of the item that begins here.
fn item(tokens: &[String]) -> usize {
    let (mut depth, mut is_import) = (0_u32, false);
    for (index, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "use" if depth == 0 => is_import = true,
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token == "}" && !is_import {
                    return index + 1;
                }
            }
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}
