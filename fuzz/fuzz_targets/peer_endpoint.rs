#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| fuzzing::target("peer_endpoint").expect("a target")(data)
);
