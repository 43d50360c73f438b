#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| fuzzing::target("gateway_lease").expect("a target")(data)
);
