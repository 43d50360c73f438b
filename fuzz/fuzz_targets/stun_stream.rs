#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::target("stun_stream").expect("a target")(data));
