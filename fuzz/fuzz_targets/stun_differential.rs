#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| fuzzing::target("stun_differential").expect("a target")(data)
);
