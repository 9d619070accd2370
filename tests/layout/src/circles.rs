//! The circles of a graph.

use std::{collections::BTreeSet, path::PathBuf};

use super::Graph;

/// The sets of files in which each file uses each other file, directly or through others of the
/// set.
#[must_use]
pub fn circles(graph: &Graph) -> BTreeSet<BTreeSet<PathBuf>> {
    let files = graph.keys();
    files
        .map(|file| {
            let from_here = reachable(graph, file);
            let back = from_here
                .iter()
                .filter(|other| reachable(graph, other).contains(file));
            back.cloned().collect::<BTreeSet<_>>()
        })
        .filter(|circle| !circle.is_empty())
        .collect()
}

/// The files that a file uses, directly or through others.
fn reachable(graph: &Graph, file: &PathBuf) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = vec![file];
    while let Some(file) = left.pop() {
        for used in graph.get(file).into_iter().flatten().map(|(used, _)| used) {
            if found.insert(used.clone()) {
                left.push(used);
            }
        }
    }
    found
}
