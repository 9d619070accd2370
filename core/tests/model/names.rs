//! The names that the steps use, by number.

use std::sync::LazyLock;

use credcache_core::{Key, Name as Parsed, NamespaceName};

pub(crate) const NAMESPACES: [&str; 3] = ["a", "ab", "b.c"];
pub(crate) const TAGS: [&str; 5] = ["tag0", "tag1", "tag2", "tag3", "tag4"];
pub(crate) const KEYS: usize = 1_500;

/// Some are short, so that a mix-up of namespace and key is possible: ("a", "b…") and ("ab", "…").
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    (0..KEYS)
        .map(|number| match number % 3 {
            0 => format!("b{number}"),
            1 => format!("{number}"),
            _ => format!("bb/{number}"),
        })
        .collect()
});

/// A namespace and a key, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) namespace: usize,
    pub(crate) key: usize,
}

impl Name {
    pub(crate) fn parsed(self) -> Parsed<'static> {
        Parsed {
            namespace: namespace(self.namespace),
            key: Key::parse(key(self.key)).expect("a key"),
        }
    }
}

pub(crate) fn key(number: usize) -> &'static str {
    &TEXTS[number]
}

pub(crate) fn namespace(number: usize) -> NamespaceName<'static> {
    NamespaceName::parse(NAMESPACES[number]).expect("a namespace")
}
