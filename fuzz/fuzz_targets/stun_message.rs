#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::target("stun_message").expect("a target")(data));
