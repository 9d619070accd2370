#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| credcache::fuzzing::times(input));
