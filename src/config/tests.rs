//! Precedence, the rules between settings, and malformed input, which must neither pass unnoticed
//! nor cause a panic.

use std::{collections::BTreeSet, ffi::OsString, time::Duration};

use proptest::{prelude::*, sample::select};

use clap::Parser;

use super::{
    Config, ConfigErrors, Group, ListenAddr, LogFormat, ServeArgs, form::Flag, setting::Setting,
    settings::SETTINGS,
};

mod malformed;
mod readme;

/// The flags of `credcache serve` alone.
#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

fn flags(line: &str) -> ServeArgs {
    Serve::parse_from(line.split_whitespace()).args
}

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    load_with(file, environment, &ServeArgs::default())
}

fn load_with(
    file: &str,
    environment: &[(&str, &str)],
    args: &ServeArgs,
) -> Result<Config, ConfigErrors> {
    let environment = environment
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::from_sources(Some(file), environment, args)
}

fn refused(file: &str, environment: &[(&str, &str)]) -> BTreeSet<String> {
    settings(&load(file, environment).expect_err("the configuration must be refused"))
}

fn settings(errors: &ConfigErrors) -> BTreeSet<String> {
    errors
        .iter()
        .map(|error| error.setting().to_owned())
        .collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn variable_that_is_set_but_empty_counts_as_unset() {
    let file = "log.level = 'warn'";
    let variables: Vec<_> = SETTINGS.iter().map(Setting::variable).collect();
    let empty: Vec<_> = variables.iter().map(|name| (&name[..], "")).collect();
    assert_eq!(load(file, &empty).unwrap(), load(file, &[]).unwrap());
    assert!(load(file, &[("CREDCACHE_NO_SUCH_SETTING", "")]).is_ok());
    let args = ServeArgs::default();
    let unnamed = [(OsString::from("CREDCACHE_CONFIG"), OsString::new())];
    assert_eq!(super::read_file(&args, &unnamed).unwrap(), None);
}

#[test]
fn nothing_typed_gives_the_documented_defaults() {
    let config = Config::from_sources(None, [], &ServeArgs::default()).unwrap();
    assert_eq!(config.listen, ["127.0.0.1:50051".parse().unwrap()]);
    let tiers: Vec<_> = config
        .tiers
        .iter()
        .map(|tier| (tier.name.as_str(), tier.max_ttl.as_secs(), tier.capacity))
        .collect();
    let capacity = 64 << 20;
    assert_eq!(
        tiers,
        [
            ("1-minute", 60, capacity),
            ("15-minutes", 900, capacity),
            ("1-hour", 3600, capacity),
            ("12-hours", 43_200, capacity),
        ]
    );
    assert_eq!(config.limits.cache.max_value, 64 << 10);
    assert_eq!(config.drain_timeout, Duration::from_secs(10));
    assert!(!config.insecure);
    assert_eq!((config.unix.mode, config.unix.group), (0o600, None));
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(config.workers as usize, processors.min(1024));
}

#[test]
fn flag_beats_variable_beats_file() {
    let file = "listen = ['127.0.0.1:1']\n[log]\nformat = 'json'\nlevel = 'warn'";
    let environment = [
        ("CREDCACHE_LISTEN", "127.0.0.1:2, unix:/run/c.sock"),
        ("CREDCACHE_LOG_FORMAT", "text"),
    ];
    let file = &format!("{file}\n[unix]\nmode = '0660'\ngroup = 'wheel'");
    let args = flags("serve --listen 127.0.0.1:3 --unix-group 7");
    let config = load_with(file, &environment, &args).unwrap();
    assert_eq!(config.listen, ["127.0.0.1:3".parse().unwrap()]);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.log.level, "warn");
    assert_eq!(
        (config.unix.mode, config.unix.group),
        (0o660, Some(Group::Id(7)))
    );
    let config = load(file, &environment).unwrap();
    assert_eq!(config.listen[0], "127.0.0.1:2".parse().unwrap());
    assert_eq!(config.listen[1], ListenAddr::Unix("/run/c.sock".into()));
}

#[test]
fn every_setting_has_a_variable() {
    for setting in SETTINGS {
        let variable = setting.variable();
        let error = load("", &[(&variable, "{}")]).unwrap_err();
        assert_eq!(settings(&error), set([setting.path()]), "{variable}");
        assert!(error.to_string().contains(&variable), "{error}");
        let accepts = setting.accepts(&Config::default());
        assert!(error.to_string().contains(&accepts), "{error}");
    }
}

#[test]
fn every_flag_sets_its_setting_and_is_named_by_its_errors() {
    let listed = SETTINGS.iter().filter_map(|s| Some((s, s.flag()?)));
    for (setting, flag) in listed {
        let (args, wrong) = match setting.flag_form() {
            Flag::Switch => (flags(&format!("serve {flag}")), false),
            Flag::One(_) | Flag::Repeatable(_) => (flags(&format!("serve {flag} {{}}")), true),
        };
        let of_flags = load_with("", &[], &args);
        if wrong {
            let error = of_flags.unwrap_err();
            assert_eq!(settings(&error), set([setting.path()]), "{flag}");
            assert!(error.to_string().contains(flag), "{error}");
        } else {
            assert_ne!(of_flags.unwrap(), Config::default(), "{flag}");
        }
    }
    let twice = flags("serve --listen 127.0.0.1:1 --listen unix:c.sock");
    assert_eq!(load_with("", &[], &twice).unwrap().listen.len(), 2);
}

#[test]
fn table_has_each_path_and_flag_once_and_sections_stand_together() {
    let paths: BTreeSet<_> = SETTINGS.iter().map(Setting::path).collect();
    assert_eq!(paths.len(), SETTINGS.len());
    let flags: Vec<_> = SETTINGS.iter().filter_map(Setting::flag).collect();
    assert_eq!(flags.iter().collect::<BTreeSet<_>>().len(), flags.len());
    let mut sections: Vec<_> = SETTINGS.iter().map(|s| s.section_and_name().0).collect();
    sections.dedup();
    assert_eq!(sections.first(), Some(&None));
    assert_eq!(
        sections.iter().collect::<BTreeSet<_>>().len(),
        sections.len()
    );
}

#[test]
fn plaintext_that_others_can_reach_needs_insecure() {
    for address in ["0.0.0.0:1", "[::]:1", "10.1.2.3:0", "example.com:80"] {
        let error = load("", &[("CREDCACHE_LISTEN", address)]).unwrap_err();
        assert_eq!(settings(&error), set(["listen"]));
        assert!(error.to_string().contains("--insecure"), "{error}");
        let environment = [
            ("CREDCACHE_LISTEN", address),
            ("CREDCACHE_INSECURE", "true"),
        ];
        assert!(load("", &environment).is_ok(), "{address}");
    }
    for address in ["localhost:1", "127.9.9.9:1", "[::1]:0", "unix:c.sock"] {
        assert!(
            load("", &[("CREDCACHE_LISTEN", address)]).is_ok(),
            "{address}"
        );
    }
}

#[test]
fn variables_of_the_client_and_of_kubernetes_are_left_alone() {
    let environment = [
        ("CREDCACHE_SERVER", "http://credcache:50051"),
        ("CREDCACHE_SERVICE_HOST", "10.0.0.1"),
        ("CREDCACHE_SERVICE_PORT", "50051"),
        ("CREDCACHE_SERVICE_PORT_GRPC", "50051"),
        ("CREDCACHE_PORT", "tcp://10.0.0.1:50051"),
        ("CREDCACHE_PORT_50051_TCP_ADDR", "10.0.0.1"),
        ("CREDCACHE_METRICS_SERVICE_HOST", "10.0.0.2"),
        ("CREDCACHE_METRICS_PORT_80_TCP", "tcp://10.0.0.2:80"),
    ];
    assert!(load("", &environment).is_ok());
    assert_eq!(
        refused("", &[("CREDCACHE_LISTENS", "127.0.0.1:1")]),
        set(["CREDCACHE_LISTENS"])
    );
}

#[test]
fn all_errors_are_told_at_once() {
    let file = "
        listen = ['nowhere']
        shout = 1
        [limits]
        max_value = '2MiB'
        [[tier]]
        name = 'a'
        max_ttl = '5 parsecs'
        capacity = '1MiB'
        [[tier]]
        name = 'b'
        max_ttl = '1m'
        capacity = '1GiB'
        [[tier]]
        name = 'b'
        max_ttl = '60s'
        size = 1
        capacity = '1GiB'
    ";
    assert_eq!(
        refused(file, &[("CREDCACHE_LOG_LEVEL", "verbose")]),
        set([
            "listen",
            "shout",
            "limits.max_value",
            "tier[0].max_ttl",
            "tier[0].capacity",
            "tier[2].name",
            "tier[2].max_ttl",
            "tier[2].size",
            "log.level",
        ])
    );
}

#[test]
fn tier_must_hold_sixteen_of_the_largest_credentials() {
    let least = credcache_core::smallest_capacity(200 << 10);
    let file = |capacity| {
        format!(
            "[limits]\nmax_value = '200KiB'\n\
             [[tier]]\nname = 'a'\nmax_ttl = '1m'\ncapacity = {capacity}"
        )
    };
    assert!(load(&file(least), &[]).is_ok());
    assert_eq!(refused(&file(least - 1), &[]), set(["tier[0].capacity"]));
    let error = load("", &[("CREDCACHE_LIMITS_MAX_VALUE", "1MiB")]);
    assert!(
        error.is_ok(),
        "the default tiers hold the largest max_value"
    );
}

#[test]
fn syntax_error_names_its_line() {
    let error = load("insecure = false\nlisten = [", &[]).unwrap_err();
    assert_eq!(settings(&error), set(["line 2"]));
}
