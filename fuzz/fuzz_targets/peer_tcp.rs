#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::target("peer_tcp").expect("a target")(data));
