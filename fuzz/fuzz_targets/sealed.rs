#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::target("sealed").expect("a target")(data));
