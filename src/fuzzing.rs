//! What the fuzz targets run: each takes any bytes, and panics if a promise doesn't hold
//! of them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a promise that doesn't hold ends the test or the fuzz target"
)]

use crate::{
    cli,
    config::{Config, ServeArgs},
    duration, rpc,
};

/// What the fast path answers, the generated one would have answered, and counted.
pub fn fast_path(input: &[u8]) {
    rpc::fuzzing::fast_path(input);
}

/// Each Put of a batch is answered as if it had come alone.
pub fn batch(input: &[u8]) {
    rpc::fuzzing::batch(input);
}

/// A configuration that is accepted is the same once it was printed and read again, and
/// what is wrong with any other can be said.
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

/// Times as people type them and as issuers state them.
pub fn times(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input)
        && let Ok(span) = duration::parse(text)
    {
        assert_eq!(duration::parse(&duration::shown(span)), Ok(span));
    }
    cli::fuzzing::times(input);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    type Target = fn(&[u8]);

    /// The inputs that the fuzzer begins with, and those that once found something.
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
            assert!(!inputs.is_empty(), "{name} has none");
            for input in inputs {
                target(&fs::read(input).unwrap());
            }
        }
    }
}
