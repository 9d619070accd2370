//! Generated files and environments in which each setting is absent, right or wrong.

use super::*;
use crate::config::{form::Samples, setting::Setting, tiers::TIERS};

/// A line of TOML, and the path of its setting if the value is wrong.
type Line = (String, Option<String>);

fn line<Owner>(setting: &Setting<Owner>, path: String) -> impl Strategy<Value = Line> + use<Owner> {
    let key = setting.path();
    let Samples { mut good, bad } = setting.samples();
    if let Some(samples) = good_together(key) {
        good = samples.iter().map(|&sample| sample.to_owned()).collect();
    }
    (any::<bool>(), select(good), select(bad)).prop_map(move |(well, good, bad)| {
        let (value, wrong) = if well {
            (good, None)
        } else {
            (bad, Some(path.clone()))
        };
        (format!("{key} = {value}\n"), wrong)
    })
}

/// Accepted values for settings whose bounds depend on another setting.
fn good_together(key: &str) -> Option<&'static [&'static str]> {
    match key {
        "limits.max_value" => Some(&["'1KiB'", "1000", "'64 kb'", "'70000'"]),
        "capacity" => Some(&["'2MiB'", "1073741824", "'1.5GiB'"]),
        _ => None,
    }
}

/// Generated files: any settings in their places, sometimes a tier, and sometimes an unknown key.
fn files() -> impl Strategy<Value = (String, BTreeSet<String>)> {
    let scalars: Vec<_> = SETTINGS
        .iter()
        // TOML takes dotted keys wherever it takes a table.
        .map(|setting| prop::option::weighted(0.4, line(setting, setting.path().into())))
        .collect();
    let tier: Vec<_> = TIERS
        .settings
        .iter()
        .map(|setting| line(setting, format!("tier[0].{}", setting.path())))
        .collect();
    let section = select(vec!["", "unix.", "limits.", "log.", "leases.", "shutdown."]);
    let unknown = (section, "x[a-z]{1,6}").prop_map(|(section, name)| format!("{section}{name}"));
    (scalars, prop::option::of(unknown), prop::option::of(tier)).prop_map(
        |(scalars, unknown, tier)| {
            let mut lines: Vec<Line> = scalars.into_iter().flatten().collect();
            lines.extend(unknown.map(|path| (format!("{path} = 1\n"), Some(path))));
            if let Some(tier) = tier {
                lines.push(("[[tier]]\n".into(), None));
                lines.extend(tier);
            }
            let (text, wrong): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
            (text.concat(), wrong.into_iter().flatten().collect())
        },
    )
}

fn variables() -> impl Strategy<Value = Vec<(String, String)>> {
    let names: Vec<_> = SETTINGS.iter().map(Setting::variable).collect();
    let name = prop_oneof![select(names), "CREDCACHE_[A-Z_]{0,12}",];
    prop::collection::vec((name, ".{0,20}"), 0..4)
}

fn assert_sound(outcome: Result<Config, ConfigErrors>) {
    match outcome {
        Ok(config) => assert_eq!(load(&config.to_toml(), &[]).unwrap(), config),
        Err(errors) => {
            assert!(!settings(&errors).is_empty());
            assert!(errors.iter().all(|error| !error.setting().is_empty()));
        }
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn file_is_refused_for_exactly_what_is_wrong_in_it((text, wrong) in files()) {
        let outcome = load(&text, &[]);
        match &outcome {
            Ok(_) => prop_assert!(wrong.is_empty(), "accepted {wrong:?} of\n{text}"),
            Err(errors) => prop_assert_eq!(settings(errors), wrong, "{}\n{}", errors, text),
        }
        assert_sound(outcome);
    }

    #[test]
    fn no_file_and_no_environment_ends_in_a_panic(
        (text, _) in files(),
        cut in any::<prop::sample::Index>(),
        junk in ".{0,8}",
        variables in variables(),
    ) {
        let end = text.floor_char_boundary(cut.index(text.len() + 1));
        let text = format!("{}{junk}{}", &text[..end], &text[end..]);
        let variables: Vec<_> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_sound(load(&text, &variables));
    }
}
