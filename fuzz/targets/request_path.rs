#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| patd::fuzzing::request_path(data));
