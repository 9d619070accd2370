//! Tests of what counts as a use and as a circle, and that this repository has no circle.

use std::{fmt::Write, path::MAIN_SEPARATOR_STR};

use super::*;

/// A crate of these files and texts.
fn crate_of(files: &[(&str, &str)]) -> Graph {
    let mut sources = Sources::default();
    for (path, source) in files {
        let module: Module = path.split("::").skip(1).map(str::to_owned).collect();
        sources.0.insert(module, (path.into(), File::parse(source)));
    }
    sources.graph()
}

fn uses(graph: &Graph, from: &str) -> Vec<String> {
    let used = graph[Path::new(from)].keys();
    used.map(|path| path.display().to_string()).collect()
}

fn number_of_circles(files: &[(&str, &str)]) -> usize {
    circles(&crate_of(files)).len()
}

#[test]
fn names_are_read_from_imports_and_paths() {
    let graph = crate_of(&[
        ("k", "mod a; mod b; mod c; mod d; mod e;"),
        (
            "k::a",
            "use crate::{b::{self, B}, c::C as See}; \n\
             // use crate::e;\n\
             fn f<'a>(x: &'a str) { let quote = '\"'; super::d::f::<u8>(\"crate::e\") }\n\
             #[cfg(test)] use crate::e; #[cfg(test)] mod tests { use crate::e; }",
        ),
        ("k::b", "pub struct B;"),
        ("k::c", "pub struct C;"),
        (
            "k::d",
            "pub(in crate::a) fn f<T>(_: T) -> impl Sized + use<T> {} \
             mod inner { use super::f; mod deeper { fn g() { super::super::f(0) } } } fn h() {}",
        ),
        (
            "k::e",
            "const RAW: &str = r#\"use crate::a;\"#; fn g() { self::h() } fn h() {}",
        ),
    ]);
    assert_eq!(uses(&graph, "k::a"), ["k::b", "k::c", "k::d"]);
    for file in ["k", "k::b", "k::c", "k::d", "k::e"] {
        assert!(uses(&graph, file).is_empty(), "{file}: {graph:?}");
    }
}

#[test]
fn reexport_is_followed_to_where_it_comes_from() {
    let graph = crate_of(&[
        ("k", "mod a; mod b;"),
        ("k::a", "pub(crate) use crate::b::B;"),
        ("k::b", "mod c; mod d; pub use self::c::C as B;"),
        ("k::b::c", "pub struct C;"),
        ("k::b::d", "use super::B; use super::super::a::B as Again;"),
    ]);
    assert_eq!(uses(&graph, "k::a"), ["k::b::c"]);
    assert!(uses(&graph, "k::b").is_empty());
    assert_eq!(uses(&graph, "k::b::d"), ["k::b::c"]);
}

#[test]
fn child_that_uses_its_parent_is_a_circle_only_if_the_parent_uses_it() {
    let child = ("k::a", "use super::Above; pub struct Below(Above);");
    for (parent, found) in [
        ("mod a; pub use a::Below; pub struct Above;", 0),
        ("mod a; pub struct Above; fn f() -> a::Below {}", 1),
        ("mod a; use a::Below; pub struct Above;", 1),
        (
            "mod a; pub use a::Below; pub struct Above; fn f() -> Below {}",
            1,
        ),
    ] {
        assert_eq!(
            number_of_circles(&[("k", parent), child]),
            found,
            "{parent}"
        );
    }
}

#[test]
fn circle_of_three_files_is_one() {
    let files = [
        ("k", "mod a; mod b; mod c; mod d;"),
        ("k::a", "use crate::b::B; use crate::d::D;"),
        ("k::b", "use crate::c::C;"),
        ("k::c", "use crate::a::A;"),
        ("k::d", ""),
    ];
    assert_eq!(number_of_circles(&files), 1);
    assert_eq!(number_of_circles(&files[..3]), 0);
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut report = String::new();
    // Each with the number of files below which something went unread.
    for (root, least) in [
        ("src/lib.rs", 11),
        ("core/src/lib.rs", 11),
        ("clients/rust/src/lib.rs", 11),
        ("bench/src/lib.rs", 3),
        ("bench/src/bin/compare/main.rs", 30),
        ("bench/src/bin/core/main.rs", 5),
        ("bench/src/bin/near/main.rs", 4),
        ("bench/src/bin/ceiling/main.rs", 5),
    ] {
        let graph = graph(&workspace.join(root)).unwrap();
        assert!(
            graph.len() >= least,
            "{root} has only {} files",
            graph.len()
        );
        for circle in circles(&graph) {
            report += "a circle:\n";
            for (file, used) in graph.iter().filter(|(file, _)| circle.contains(*file)) {
                for (other, names) in used.iter().filter(|(other, _)| circle.contains(*other)) {
                    let short = |path: &Path| {
                        let path = path.strip_prefix(workspace).unwrap_or(path);
                        path.display().to_string().replace(MAIN_SEPARATOR_STR, "/")
                    };
                    writeln!(
                        report,
                        "  {} uses {names:?} of {}",
                        short(file),
                        short(other)
                    )
                    .unwrap();
                }
            }
        }
    }
    assert!(report.is_empty(), "{report}");
}
