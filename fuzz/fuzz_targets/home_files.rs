#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::target("home_files").expect("a target")(data));
