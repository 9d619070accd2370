//! The `[[tier]]` tables: the settings of a table, and the rules between the tables.

use std::time::Duration;

use credcache_core::{MAX_TIERS, TierSpec, smallest_capacity};
use toml::{Table, Value};

#[cfg(test)]
use super::form::Samples;
use super::{
    error::SettingError,
    form::{Flag, Form, Optional, Problem, Size, Span, out_of_bounds, shown},
    setting::{Setting, field},
    tables::Tables,
};

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(10 * 31_557_600);
/// Keeps the sum over all tiers far from overflow.
const MAX_CAPACITY: u64 = 1 << 50;

/// The `[[tier]]` tables.
pub(super) static TIERS: Tables<TierTable> = Tables {
    name: "tier",
    text: "The lifetime classes",
    accepts: "1 to 16 [[tier]] tables of name, max_ttl and capacity",
    default: "1-minute, 15-minutes, 1-hour and 12-hours, with 64 MiB each",
    settings: &[
        Setting::new(
            "name",
            field!(TierTable.name, Optional(TierName)),
            "The name of the tier",
        )
        .on_condition("unique among the tiers"),
        Setting::new(
            "max_ttl",
            field!(TierTable.max_ttl, Optional(Span(SECOND..=LONGEST))),
            "The longest lifetime in the tier",
        )
        .on_condition("different in every tier"),
        Setting::new(
            "capacity",
            field!(TierTable.capacity, Optional(Size(MIB..=MAX_CAPACITY))),
            "The memory of the tier",
        )
        .on_condition("with room for 16 of the largest credentials"),
    ],
    required: &["name", "max_ttl", "capacity"],
    example: || TierTable {
        name: None,
        max_ttl: Some(HOUR / 4),
        capacity: Some(64 * MIB),
    },
};

/// A `[[tier]]` table. Missing and wrong values are `None`.
#[derive(Default)]
pub(super) struct TierTable {
    name: Option<String>,
    max_ttl: Option<Duration>,
    capacity: Option<u64>,
}

impl From<&TierSpec> for TierTable {
    fn from(tier: &TierSpec) -> Self {
        Self {
            name: Some(tier.name.clone()),
            max_ttl: Some(tier.max_ttl),
            capacity: Some(tier.capacity),
        }
    }
}

/// Reads the tiers, which hold values of up to `max_value` bytes.
pub(super) fn read(
    tables: &[Table],
    max_value: u64,
    errors: &mut Vec<SettingError>,
) -> Vec<TierSpec> {
    // Each tier with its index in the file, where refused tiers count as well.
    let mut tiers: Vec<(usize, TierSpec)> = Vec::with_capacity(tables.len());
    let read = TIERS.read(tables, errors).into_iter().zip(tables);
    for (index, (tier, table)) in read.enumerate() {
        let (Some(capacity), Some(typed)) = (tier.capacity, table.get("capacity")) else {
            continue;
        };
        if capacity < smallest_capacity(max_value) {
            errors.push(TIERS.error(index, "capacity", out_of_bounds(typed)));
            continue;
        }
        if let (Some(name), Some(max_ttl)) = (tier.name, tier.max_ttl) {
            let tier = TierSpec {
                name,
                max_ttl,
                capacity,
            };
            tiers.push((index, tier));
        }
    }
    if !(1..=MAX_TIERS).contains(&tables.len()) {
        errors.push(TIERS.error_of_all(format!("the list has {} tables", tables.len())));
    }
    refuse_repeated(&tiers, errors);
    tiers.into_iter().map(|(_, tier)| tier).collect()
}

fn refuse_repeated(tiers: &[(usize, TierSpec)], errors: &mut Vec<SettingError>) {
    for (place, (index, tier)) in tiers.iter().enumerate() {
        let mut before = tiers[..place].iter().map(|(_, other)| other);
        if before.clone().any(|other| other.name == tier.name) {
            let problem = format!("{:?} is taken by another tier", tier.name);
            errors.push(TIERS.error(*index, "name", problem));
        }
        if before.any(|other| other.max_ttl == tier.max_ttl) {
            let problem = "another tier has the same max_ttl".into();
            errors.push(TIERS.error(*index, "max_ttl", problem));
        }
    }
}

/// The tiers of a configuration that has none.
pub(super) fn default_tiers() -> Vec<TierSpec> {
    let tiers = [
        ("1-minute", HOUR / 60),
        ("15-minutes", HOUR / 4),
        ("1-hour", HOUR),
        ("12-hours", HOUR * 12),
    ];
    tiers
        .map(|(name, max_ttl)| TierSpec {
            name: name.into(),
            max_ttl,
            capacity: 64 * MIB,
        })
        .into()
}

/// The name of a tier.
struct TierName;

impl Form for TierName {
    type Value = String;

    fn accepts(&self, _example: Option<&String>) -> String {
        "1 to 63 of [a-z0-9._-], starting with a letter or digit".into()
    }

    fn read(&self, value: &Value) -> Result<String, Problem> {
        let name = value
            .as_str()
            .ok_or_else(|| format!("{} isn't text", shown(value)))?;
        let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let valid = name.len() <= 63
            && name.bytes().next().is_some_and(alphanumeric)
            && name
                .bytes()
                .all(|byte| alphanumeric(byte) || b"._-".contains(&byte));
        if valid {
            Ok(name.to_owned())
        } else {
            Err(format!("{} isn't a name", shown(value)))
        }
    }

    fn write(&self, value: &String) -> Option<Value> {
        Some(Value::String(value.clone()))
    }

    fn flag(&self) -> Flag {
        Flag::One("NAME")
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        Samples::new(
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
        )
    }
}
