//! The names that are typed, checked by the contract's rules before anything is done with them.

use std::collections::BTreeMap;

use credcache_core::{Attributes, Key, KeyPrefix, NameError, NamespaceName, Tag, Tags};

use super::failure::Failure;

pub(super) fn namespace(text: &str) -> Result<String, NameError> {
    NamespaceName::parse(text).map(|_| text.to_owned())
}

pub(super) fn key(text: &str) -> Result<String, NameError> {
    Key::parse(text).map(|_| text.to_owned())
}

pub(super) fn prefix(text: &str) -> Result<String, NameError> {
    KeyPrefix::parse(text).map(|_| text.to_owned())
}

pub(super) fn tag(text: &str) -> Result<String, NameError> {
    Tag::parse(text).map(|_| text.to_owned())
}

/// Only the server knows the tiers, so only an empty name is refused.
pub(super) fn tier(text: &str) -> Result<String, NameError> {
    match text {
        "" => Err(NameError::Empty),
        name => Ok(name.to_owned()),
    }
}

pub(super) fn attribute(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("must be NAME=VALUE"),
    }
}

/// Checks the bounds on the number and the size of a credential's tags and attributes.
pub(super) fn check_labels(
    tags: &[String],
    attributes: &[(String, String)],
) -> Result<(), Failure> {
    if let Err(too_much) = Tags::new(tags.iter().filter_map(|tag| Tag::parse(tag).ok())) {
        return Err(Failure::Usage(format!("a credential {too_much}")));
    }
    // The last value of a repeated name counts.
    let attributes: BTreeMap<_, _> = attributes
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    if let Err(too_much) = Attributes::new(attributes) {
        return Err(Failure::Usage(format!(
            "a credential's attributes {too_much}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_contract() {
        for wrong in ["", "AWS", "-aws", "a b", "a/b"] {
            assert!(namespace(wrong).is_err(), "{wrong}");
        }
        assert_eq!(namespace("aws"), Ok("aws".into()));
        for check in [key, prefix, tag, tier] {
            assert_eq!(check(""), Err(NameError::Empty));
            assert_eq!(check("A b/ä"), Ok("A b/ä".into()));
        }
        let long = "x".repeat(1025);
        assert!(key(&long).is_err() && prefix(&long).is_err() && tag(&long).is_err());
    }

    #[test]
    fn attribute_is_a_pair() {
        assert_eq!(attribute("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(attribute("d="), Ok(("d".into(), String::new())));
        assert!(attribute("region").is_err() && attribute("=x").is_err());
    }

    #[test]
    fn labels_are_counted_as_the_server_counts_them() {
        let tags = |most: usize| (0..most).map(|n| n.to_string()).collect::<Vec<_>>();
        let twice = [tags(16), tags(16)].concat();
        assert!(check_labels(&twice, &[]).is_ok());
        assert!(check_labels(&tags(17), &[]).is_err());
        let long = ("name".to_owned(), "x".repeat(4096));
        assert!(check_labels(&[], &[long]).is_err());
    }
}
