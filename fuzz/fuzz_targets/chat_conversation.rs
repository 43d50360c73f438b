#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| fuzzing::target("chat_conversation").expect("a target")(data)
);
