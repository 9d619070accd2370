//! Finds circles of `use` between the files of a crate.
//!
//! A file uses another file if it imports or names an item of it. A re-export is followed to the
//! file that defines the item. A parent that declares a child and re-exports its items doesn't use
//! the child; a parent that needs the items itself does. Code for tests is left out. Method calls
//! are not seen.

mod circles;
mod names;
mod tokens;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use self::names::File;

/// Each file, with the files that it uses and the names that it uses from them.
pub type Graph = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

pub use self::circles::circles;

/// The path of a module in its crate; the crate's root is empty.
type Module = Vec<String>;

/// The uses between the files of a crate, given its root file, such as `src/lib.rs`.
///
/// # Errors
/// A file can't be read.
pub fn graph(root: &Path) -> io::Result<Graph> {
    let mut sources = Sources::default();
    sources.read(root, Module::new())?;
    Ok(sources.graph())
}

/// The files of a crate, by module.
#[derive(Default)]
struct Sources(BTreeMap<Module, (PathBuf, File)>);

impl Sources {
    fn read(&mut self, path: &Path, module: Module) -> io::Result<()> {
        let file = File::parse(&fs::read_to_string(path)?);
        let folder = match path.file_stem() {
            Some(stem) if !module.is_empty() => path.with_file_name(stem),
            _ => path.with_file_name(""),
        };
        for child in &file.children {
            let module = [&module[..], std::slice::from_ref(child)].concat();
            self.read(&folder.join(child).with_extension("rs"), module)?;
        }
        self.0.insert(module, (path.to_owned(), file));
        Ok(())
    }

    fn graph(&self) -> Graph {
        let mut graph = Graph::new();
        for (module, (path, file)) in &self.0 {
            let used = graph.entry(path.clone()).or_default();
            for import in file.imports.iter().chain(&file.paths) {
                let Some((target, name)) = self.origin(module, &import.path, 0) else {
                    continue;
                };
                let is_reexport = import.is_public
                    && target.starts_with(module)
                    && !file.words.contains(&import.name);
                if target != *module && !is_reexport {
                    let names = used.entry(self.0[&target].0.clone()).or_default();
                    names.insert(name);
                }
            }
        }
        graph
    }

    /// The module that defines what `path` names in `module`, and the name there. `None` if another
    /// crate defines it.
    fn origin(&self, module: &[String], path: &[String], depth: u32) -> Option<(Module, String)> {
        let (mut place, mut rest) = self.start(module, path)?;
        while let Some((first, others)) = rest.split_first() {
            let child = [&place[..], std::slice::from_ref(first)].concat();
            if !self.0.contains_key(&child) {
                break;
            }
            (place, rest) = (child, others);
        }
        let name = rest.first().cloned().unwrap_or_else(|| "self".into());
        let imports = &self.0.get(&place)?.1.imports;
        let followed = imports
            .iter()
            .find(|import| import.name == name && depth < 8)
            .and_then(|import| {
                let path = [&import.path[..], rest.get(1..).unwrap_or_default()].concat();
                self.origin(&place, &path, depth + 1)
            });
        followed.or(Some((place, name)))
    }

    /// The module where a path begins, and the rest of the path.
    fn start<'a>(&self, module: &[String], path: &'a [String]) -> Option<(Module, &'a [String])> {
        let mut place = match path.first()?.as_str() {
            "crate" => return Some((Module::new(), &path[1..])),
            "self" => return Some((module.to_vec(), &path[1..])),
            "super" => module.to_vec(),
            child => {
                let children = &self.0.get(module)?.1.children;
                let is_child = children.iter().any(|name| name == child);
                return is_child.then(|| (module.to_vec(), path));
            }
        };
        let ups = path.iter().take_while(|step| *step == "super").count();
        place.truncate(place.len().checked_sub(ups)?);
        Some((place, &path[ups..]))
    }
}

#[cfg(test)]
mod tests;
