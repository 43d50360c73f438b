#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| fuzzing::target("capture_frame").expect("a target")(data)
);
