//! The properties that the fuzz targets check. Each function takes any bytes, and panics if its
//! property doesn't hold for them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a property that doesn't hold ends the test or the fuzz target"
)]

use crate::{
    cli,
    config::{Config, ServeArgs},
    duration, rpc,
};

/// Checks that the fast path answers and counts as the generated path does.
pub fn fast_path(input: &[u8]) {
    rpc::fuzzing::fast_path(input);
}

/// Checks that each Put of a batch is answered as if it had come alone.
pub fn batch(input: &[u8]) {
    rpc::fuzzing::batch(input);
}

/// Checks that an accepted configuration is the same after it was printed and read again, and that
/// every refused configuration has an error message.
pub fn config(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let load = |text: &str| Config::from_sources(Some(text), [], &ServeArgs::default());
    match load(text) {
        Ok(config) => {
            let printed = config.to_toml();
            let again = load(&printed).expect("what was printed is accepted");
            assert!(again == config, "{printed}");
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// Checks times as people type them and as issuers state them.
pub fn times(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input)
        && let Ok(span) = duration::parse(text)
    {
        assert_eq!(duration::parse(&duration::format(span)), Ok(span));
    }
    cli::fuzzing::times(input);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    type Target = fn(&[u8]);

    /// The inputs that the fuzzer begins with, and inputs that once found a fault.
    #[test]
    fn promises_hold_of_every_input_of_the_corpus() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        let targets: [(&str, Target); 4] = [
            ("fast_path", fast_path),
            ("batch", batch),
            ("config", config),
            ("times", times),
        ];
        for (name, target) in targets {
            let inputs = fs::read_dir(corpus.join(name)).unwrap();
            let inputs: Vec<_> = inputs.map(|input| input.unwrap().path()).collect();
            assert!(!inputs.is_empty(), "{name} has no inputs");
            for input in inputs {
                target(&fs::read(input).unwrap());
            }
        }
    }
}
