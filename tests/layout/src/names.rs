//! The declarations, imports and names of a file.

use std::collections::BTreeSet;

use super::tokens::tokens;

/// A file's uses of other files.
#[derive(Default)]
pub(crate) struct File {
    /// The modules that the file declares with a file of their own.
    pub(crate) children: Vec<String>,
    /// The `use` declarations, one per name.
    pub(crate) imports: Vec<Import>,
    /// The paths that the file names outside of `use` declarations.
    pub(crate) paths: Vec<Import>,
    /// The words outside of `use` declarations.
    pub(crate) words: BTreeSet<String>,
}

/// A path, and the name by which the file knows it.
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    pub(crate) name: String,
    /// Whether other files may import the name from here.
    pub(crate) is_public: bool,
}

impl File {
    pub(crate) fn parse(source: &str) -> Self {
        let tokens = tokens(source);
        let mut file = Self::default();
        // The modules within the file that enclose the current token, with their braces.
        let (mut braces, mut inner) = (0_u32, Vec::new());
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let next = tokens.get(at + 1).map_or("", String::as_str);
            let after = tokens.get(at + 2).map_or("", String::as_str);
            let before = (file.imports.len(), file.paths.len());
            at += 1;
            match token.as_str() {
                "mod" if after == ";" => file.children.push(next.to_owned()),
                "mod" if after == "{" => inner.push(braces),
                "{" => braces += 1,
                "}" => {
                    braces = braces.saturating_sub(1);
                    inner.pop_if(|outside| *outside == braces);
                }
                // Not the path in `pub(in path)`.
                "pub" if next == "(" => {
                    at += tokens[at..]
                        .iter()
                        .take_while(|token| *token != ")")
                        .count();
                }
                // Not the `use<…>` of a return type.
                "use" if next != "<" => {
                    let is_public = is_public(&tokens[..at - 1]);
                    at += file.import(&tokens[at..], &[], is_public);
                }
                word if is_word(word) => at += file.path(&tokens[at - 1..]) - 1,
                _ => {}
            }
            let imports = file.imports[before.0..].iter_mut();
            for import in imports.chain(&mut file.paths[before.1..]) {
                import.leave(inner.len());
            }
        }
        file
    }

    /// Reads a path or a word, and returns its number of tokens.
    fn path(&mut self, tokens: &[String]) -> usize {
        let length = path_length(tokens);
        let words = tokens[..length].iter();
        let path: Vec<_> = words.filter(|token| is_word(token)).cloned().collect();
        self.words.extend(path.iter().cloned());
        if path.len() > 1 {
            self.paths.push(Import {
                name: String::new(),
                path,
                is_public: false,
            });
        }
        length
    }

    /// Reads a tree of `use` after `prefix`, and returns its number of tokens.
    fn import(&mut self, tokens: &[String], prefix: &[String], is_public: bool) -> usize {
        let mut path = prefix.to_vec();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token.as_str() {
                "::" => at += 1,
                "{" => {
                    at += 1;
                    while tokens.get(at).is_some_and(|token| token != "}") {
                        at += self.import(&tokens[at..], &path, is_public);
                        at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                    }
                    return at + 1;
                }
                "as" => {
                    let name = tokens.get(at + 1).cloned().unwrap_or_default();
                    self.imports.push(Import {
                        path,
                        name,
                        is_public,
                    });
                    return at + 2;
                }
                "*" => {
                    self.imports.push(Import {
                        path,
                        name: "*".into(),
                        is_public,
                    });
                    return at + 1;
                }
                // `use module::{self, …}`.
                "self" if !path.is_empty() => at += 1,
                word if is_word(word) => {
                    path.push(token.clone());
                    at += 1;
                }
                _ => break,
            }
        }
        let name = path.last().cloned().unwrap_or_default();
        self.imports.push(Import {
            path,
            name,
            is_public,
        });
        at
    }
}

impl Import {
    /// Turns a path within this many inner modules into a path of the file.
    fn leave(&mut self, inner: usize) {
        let ups = self.path.iter().take_while(|step| *step == "super").count();
        if inner > 0 && ups > 0 {
            self.path.drain(..ups.min(inner));
            if ups <= inner {
                self.path.insert(0, "self".into());
            }
        }
    }
}

/// Whether an item after these tokens is `pub` or `pub(…)`.
fn is_public(before: &[String]) -> bool {
    match before {
        [.., last] if last == "pub" => true,
        [.., last] if last == ")" => {
            let open = before.iter().rposition(|token| token == "(");
            open.is_some_and(|open| before[..open].last().is_some_and(|token| token == "pub"))
        }
        _ => false,
    }
}

/// The number of tokens of the path that begins here: `a::b::c`.
fn path_length(tokens: &[String]) -> usize {
    let is_step = |pair: &[String]| pair[0] == "::" && is_word(&pair[1]);
    1 + 2 * tokens[1..]
        .chunks_exact(2)
        .take_while(|pair| is_step(pair))
        .count()
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}
