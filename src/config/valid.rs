//! The checks of what was typed: each value by its form, then the rules between settings. Checking
//! goes on after an error, so that all errors are reported.

use super::{
    error::{Origin, SettingError},
    listen::ListenAddr,
    raw::Raw,
    settings::{Config, LISTS, SETTINGS},
};

/// Returns the configuration, which is valid only if `errors` stays empty.
pub(super) fn validate(raw: &Raw, errors: &mut Vec<SettingError>) -> Config {
    let defaults = Config::default();
    let mut config = defaults.clone();
    for setting in SETTINGS {
        let Some(typed) = raw.values.get(setting.path()) else {
            continue;
        };
        if let Err(problem) = setting.read(&typed.value, &mut config) {
            errors.push(SettingError {
                setting: setting.path().into(),
                origin: typed.origin.clone(),
                problem,
                accepts: setting.accepts(&defaults),
            });
        }
    }
    for list in LISTS {
        if let Some(tables) = raw.lists.get(list.tables.name()) {
            (list.read)(tables, &mut config, errors);
        }
    }
    if !config.insecure {
        refuse_reachable(&config.listen, raw, errors);
    }
    config
}

fn refuse_reachable(listen: &[ListenAddr], raw: &Raw, errors: &mut Vec<SettingError>) {
    const LISTEN: &str = "listen";
    let typed = raw.values.get(LISTEN);
    for address in listen.iter().filter(|address| !address.is_local()) {
        errors.push(SettingError {
            setting: LISTEN.into(),
            origin: typed.map_or(Origin::Default, |typed| typed.origin.clone()),
            problem: format!("other hosts could read the plaintext on {address}"),
            accepts: "loopback addresses and Unix sockets; any address with --insecure".into(),
        });
    }
}
