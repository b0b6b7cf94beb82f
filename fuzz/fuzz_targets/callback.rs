#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| phlo_2fa_fuzz::callback(data));
