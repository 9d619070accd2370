//! Generated files and environments: each setting absent, well or badly typed.

use super::*;

/// What a setting may be typed as: TOML that is accepted, TOML that isn't.
type Spellings = (&'static [&'static str], &'static [&'static str]);

const SIZES: Spellings = (
    &["'1KiB'", "1000", "'64 kb'", "'70000'"],
    &[
        "-1",
        "0",
        "'2MiB'",
        "'64XB'",
        "''",
        "true",
        "1.5",
        "[1]",
        "{ a = 1 }",
        "2024-01-01",
    ],
);
const NUMBERS: Spellings = (
    &["1", "'65536'", "1000"],
    &[
        "0",
        "-7",
        "1_000_001",
        "'many'",
        "''",
        "false",
        "9.0",
        "[]",
        "99999999999",
    ],
);
const DURATIONS: Spellings = (
    &["'0s'", "'1m 30s'", "'1h'", "'1500ms'"],
    &[
        "10",
        "'2h'",
        "'-1s'",
        "'soon'",
        "''",
        "true",
        "['1s']",
        "'99999999999999999999s'",
        "'15M'",
        "'1.5m'",
    ],
);
const ADDRESSES: Spellings = (
    &[
        "['127.0.0.1:0']",
        "'[::1]:7,unix:/a b'",
        "['localhost:1', 'unix:./c,d']",
    ],
    &[
        "[]",
        "''",
        "'nowhere'",
        "[1]",
        "['::1:5x']",
        "['1.2.3.400:5']",
        "['unix:']",
        "{}",
        "'a..b:1'",
        "['0.0.0.0:1']",
        "['127.0.0.1:65536']",
    ],
);
const FORMATS: Spellings = (&["'text'", "'json'"], &["'JSON '", "''", "1", "[]"]);
const LEVELS: Spellings = (
    &["'off'", "'info'", "'credcache=debug,warn'"],
    &[
        "'verbose'",
        "''",
        "'info,'",
        "'credcache=loud'",
        "3",
        "['info']",
    ],
);
const REVOCATIONS: Spellings = (&["8", "'65536'"], &["7", "-1", "'many'", "[]"]);
const JOURNALS: Spellings = (
    &["'64KiB'", "'1GiB'"],
    &["'63KiB'", "0", "'2TiB'", "'big'", "''"],
);
const LEASE_TTLS: Spellings = (&["'1s'", "'5m'"], &["'999ms'", "'6m'", "0", "''", "[]"]);
const MODES: Spellings = (
    &["'0600'", "'660'", "'0666'", "'0777'", "'0730'"],
    &[
        "660",
        "0o660",
        "'0o660'",
        "'60'",
        "'0060'",
        "'0400'",
        "'0640'",
        "'0664'",
        "'01660'",
        "'1777'",
        "'0680'",
        "'+660'",
        "'rw-rw----'",
        "''",
        "true",
    ],
);
const GROUPS: Spellings = (
    &[
        "'credcache'",
        "'0'",
        "1000",
        "'_www'",
        "'DOMAIN\\domain users'",
    ],
    &[
        "''",
        "-1",
        "'-1'",
        "4294967295",
        "'4294967296'",
        "' a'",
        "'a:b'",
        "'{}'",
        "[]",
        "1.5",
    ],
);
const NAMES: Spellings = (
    &["'a'", "'0-x_y.z'"],
    &[
        "'A'",
        "''",
        "'-a'",
        "'a b'",
        "'ä'",
        "1",
        "[]",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
    ],
);
const MAX_TTLS: Spellings = (
    &["'1s'", "'3652d'", "'12h'"],
    &[
        "'0s'", "'999ms'", "'3653d'", "'15M'", "'1y'", "60", "'never'", "''", "true",
    ],
);
const CAPACITIES: Spellings = (
    &["'2MiB'", "1073741824", "'1.5GiB'"],
    &["'1023KiB'", "0", "-1", "'2PiB'", "'big'", "''", "[]"],
);

fn spellings(setting: Setting) -> Spellings {
    match setting {
        Setting::Listen => ADDRESSES,
        Setting::Insecure => (&["false", "'false'"], &["'no'", "0", "''", "[]"]),
        Setting::UnixMode => MODES,
        Setting::UnixGroup => GROUPS,
        Setting::Workers => (&["1", "'1024'"], &["0", "1025", "-1", "'all'", "[]"]),
        Setting::MaxValue => SIZES,
        Setting::MaxNamespaces
        | Setting::MaxConnections
        | Setting::MaxStreams
        | Setting::MaxLeases
        | Setting::MaxWaiters
        | Setting::MaxWatchers => NUMBERS,
        Setting::MaxRevocations => REVOCATIONS,
        Setting::MaxJournal => JOURNALS,
        Setting::LeaseTtl => LEASE_TTLS,
        Setting::DrainTimeout => DURATIONS,
        Setting::LogFormat => FORMATS,
        Setting::LogLevel => LEVELS,
    }
}

/// A line of TOML, and the setting it makes wrong if it does.
type Line = (String, Option<String>);

fn line(key: &str, path: String, (good, bad): Spellings) -> impl Strategy<Value = Line> + use<> {
    let key = key.to_owned();
    (any::<bool>(), select(good), select(bad)).prop_map(move |(well, good, bad)| {
        let (value, wrong) = if well {
            (good, None)
        } else {
            (bad, Some(path.clone()))
        };
        (format!("{key} = {value}\n"), wrong)
    })
}

fn tier_line(key: &str, good: Spellings) -> impl Strategy<Value = Line> + use<> {
    line(key, format!("tier[0].{key}"), good)
}

/// Files of every setting in its place, a tier among them at times, and a key
/// that is none.
fn files() -> impl Strategy<Value = (String, BTreeSet<String>)> {
    let scalars: Vec<_> = Setting::ALL
        .into_iter()
        .map(|setting| {
            let path = setting.path();
            // TOML takes dotted keys wherever it takes a table.
            prop::option::weighted(0.4, line(path, path.into(), spellings(setting)))
        })
        .collect();
    let tier = (
        tier_line("name", NAMES),
        tier_line("max_ttl", MAX_TTLS),
        tier_line("capacity", CAPACITIES),
    );
    let section = select(vec!["", "unix.", "limits.", "log.", "leases.", "shutdown."]);
    let unknown = (section, "x[a-z]{1,6}").prop_map(|(section, name)| format!("{section}{name}"));
    (scalars, prop::option::of(unknown), prop::option::of(tier)).prop_map(
        |(scalars, unknown, tier)| {
            let mut lines: Vec<Line> = scalars.into_iter().flatten().collect();
            lines.extend(unknown.map(|path| (format!("{path} = 1\n"), Some(path))));
            if let Some((name, max_ttl, capacity)) = tier {
                lines.push(("[[tier]]\n".into(), None));
                lines.extend([name, max_ttl, capacity]);
            }
            let (text, wrong): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
            (text.concat(), wrong.into_iter().flatten().collect())
        },
    )
}

fn variables() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        select(Setting::ALL.to_vec()).prop_map(Setting::variable),
        "CREDCACHE_[A-Z_]{0,12}",
    ];
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
