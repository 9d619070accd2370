//! README's table of settings matches the table of settings in the code.

use std::{fmt::Write, fs};

use crate::config::settings::{Config, LISTS, SETTINGS};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
/// A test that runs with this variable set writes the table into README.
const UPDATE: &str = "UPDATE_README";
const BEGIN: &str = "<!-- Settings: written by `UPDATE_README=1 cargo test --lib readme` -->\n\n";
const END: &str = "\n<!-- End of settings -->\n";

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "a variable of the test, not of the program"
)]
fn readme_has_the_table_of_settings() {
    let readme = fs::read_to_string(PATH).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("README marks the table");
    let (found, after) = rest.split_once(END).expect("README marks the table's end");
    let table = table();
    if std::env::var_os(UPDATE).is_some() {
        fs::write(PATH, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(
        found == table,
        "README's table of settings is out of date: `{UPDATE}=1 cargo test --lib readme` writes it"
    );
}

fn table() -> String {
    let defaults = Config::default();
    let mut table = "\
        | setting | variable | flag | default | meaning and accepted values |\n\
        |---|---|---|---|---|\n"
        .to_owned();
    for setting in SETTINGS {
        let (path, variable) = (setting.path(), setting.variable());
        let flag = setting.flag().map(|flag| format!(" `{flag}`"));
        let flag = flag.unwrap_or_default();
        let default = match setting.default_in_words() {
            Some(words) => words.to_owned(),
            None => format!("`{}`", setting.write(&defaults).unwrap()),
        };
        let meaning = meaning(setting.text(), &setting.accepts(&defaults));
        writeln!(
            table,
            "| `{path}` | `{variable}` |{flag} | {default} | {meaning} |"
        )
        .unwrap();
    }
    for list in LISTS.iter().map(|list| list.tables) {
        let (name, default) = (list.name(), list.default());
        let meaning = meaning(list.text(), list.accepts());
        writeln!(table, "| `[[{name}]]` | | | {default} | {meaning} |").unwrap();
        for row in list.rows() {
            let meaning = self::meaning(row.text, &row.accepts);
            writeln!(table, "| `[[{name}]] {}` | | | | {meaning} |", row.name).unwrap();
        }
    }
    table
}

fn meaning(text: &str, accepts: &str) -> String {
    format!("{text}. Accepts {accepts}.")
}
