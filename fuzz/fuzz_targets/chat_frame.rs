#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::target("chat_frame").expect("a target")(data));
