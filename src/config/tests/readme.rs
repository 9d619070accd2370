//! README's table of settings is what the table of settings says.

use std::{fmt::Write, fs};

use crate::config::{
    setting::Setting,
    settings::{Config, SETTINGS},
    tiers::TIERS,
};

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
    let usual = Config::default();
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
            None => format!("`{}`", setting.write(&usual).unwrap()),
        };
        let meaning = meaning(setting, &usual);
        writeln!(
            table,
            "| `{path}` | `{variable}` |{flag} | {default} | {meaning} |"
        )
        .unwrap();
    }
    let (name, text, accepts, default) = (TIERS.name, TIERS.text, TIERS.accepts, TIERS.default);
    writeln!(
        table,
        "| `[[{name}]]` | | | {default} | {text}. Accepts {accepts}. |"
    )
    .unwrap();
    let usual = (TIERS.usual)();
    for setting in TIERS.settings {
        let meaning = meaning(setting, &usual);
        let path = setting.path();
        writeln!(table, "| `[[{name}]] {path}` | | | | {meaning} |").unwrap();
    }
    table
}

fn meaning<Owner>(setting: &Setting<Owner>, usual: &Owner) -> String {
    format!("{}. Accepts {}.", setting.text(), setting.accepts(usual))
}
