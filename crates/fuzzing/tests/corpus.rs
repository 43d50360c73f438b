//! The committed corpora: each input that a fuzzer found worth keeping, or that once failed, is run
//! through its target. `lab/fuzz.sh` makes them.

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(folder: &str) -> BTreeSet<String> {
    let folder = fuzz_folder().join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let stem = |entry: fs::DirEntry| {
        let path = entry.path();
        path.file_stem().unwrap().to_str().unwrap().to_owned()
    };
    entries.map(|entry| stem(entry.unwrap())).collect()
}

/// Runs each file of the target's folder.
fn replay(name: &str) {
    let target = fuzzing::target(name).unwrap();
    let folder = fuzz_folder().join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    let fails = |file: &PathBuf| {
        let bytes = fs::read(file).unwrap();
        panic::catch_unwind(|| target(&bytes)).is_err()
    };
    files.retain(fails);
    assert!(files.is_empty(), "these fail: {files:?}");
    target(b"");
}

macro_rules! replayed {
    ($($name:ident,)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

replayed! {
    account,
    candidates,
    capture_frame,
    chat_conversation,
    chat_frame,
    discover,
    gateway_answers,
    gateway_lease,
    home_files,
    icmp,
    journeys,
    labreport,
    nattrace_connection,
    nattrace_elements,
    nattrace_message,
    nattrace_report,
    peer_endpoint,
    peer_tcp,
    relay,
    rendezvous,
    sealed,
    share,
    stun_classic,
    stun_differential,
    stun_message,
    stun_stream,
    turn,
}

#[test]
fn every_target_is_fuzzed_and_replayed() {
    let targets: BTreeSet<String> = fuzzing::TARGETS.map(|(name, _)| name.to_owned()).into();
    let replayed: BTreeSet<String> = REPLAYED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(targets, replayed);
    assert_eq!(targets, names("fuzz_targets"));
    assert_eq!(targets, names("corpus"));
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).unwrap();
    let bins = manifest.lines().filter_map(|line| {
        let path = line.strip_prefix("path = \"fuzz_targets/")?;
        Some(path.strip_suffix(".rs\"")?.to_owned())
    });
    assert_eq!(targets, bins.collect());
}
