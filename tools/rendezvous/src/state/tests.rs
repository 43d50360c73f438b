use std::io::{Read, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::time::Duration;

use super::*;

/// A file of its own, which goes with the test.
struct Room(PathBuf);

impl Room {
    fn new(test: &str) -> Self {
        let name = format!("pinhole-state-{test}-{}", std::process::id());
        // In RAM, where there is such a folder: each write is synced.
        let ram = Path::new("/dev/shm");
        let folder = ram.is_dir().then(|| ram.to_owned());
        let room = folder.unwrap_or_else(std::env::temp_dir).join(name);
        std::fs::create_dir_all(&room).unwrap();
        Room(room)
    }

    fn file(&self) -> PathBuf {
        self.0.join("names")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// That of redb, in bytes.
const PAGE: usize = 4096;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn binding(n: u8, until: Instant) -> Binding {
    Binding {
        name: format!("name-{n}"),
        key: [n; 32],
        rotation: n.is_multiple_of(2).then_some([n; 96]),
        network: match n % 3 {
            0 => IpAddr::from([203, 0, 113, n]),
            _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n.into()]),
        },
        until,
    }
}

fn open(path: &Path) -> anyhow::Result<(State, Vec<Binding>)> {
    State::open(path, 1000)
}

/// With a wall clock that says something else than that of this host.
fn open_at(path: &Path, clock: Clock) -> anyhow::Result<(State, Vec<Binding>)> {
    State::read(path, 1000, move || Ok(clock))
}

/// The clock of the server now, and the wall clock, this many seconds ahead.
fn now_and(seconds: i64) -> Clock {
    let clock = Clock::now().unwrap();
    Clock {
        unix: clock.unix.saturating_add_signed(seconds),
        ..clock
    }
}

fn refusal(path: &Path) -> String {
    open(path)
        .map(drop)
        .map_err(|error| format!("{error:#}"))
        .unwrap_err()
}

/// Names and keys, without the times, which are kept in whole seconds.
fn keys(bindings: &[Binding]) -> Vec<(String, PublicKey, Option<[u8; 96]>, IpAddr)> {
    let parts = |b: &Binding| (b.name.clone(), b.key, b.rotation, b.network);
    bindings.iter().map(parts).collect()
}

use session::identity::PublicKey;

#[test]
fn what_is_stored_is_there_in_the_order_of_its_end_and_what_is_over_is_gone() {
    let room = Room::new("stored");
    let now = Instant::now();
    let all: Vec<_> = (1..=9)
        .map(|n| binding(n, now + DAY - Duration::from_secs(60 * u64::from(n))))
        .collect();
    let (mut state, none) = open(&room.file()).unwrap();
    assert_eq!(none, []);
    let mut batch: Vec<_> = all.iter().cloned().map(Change::Bound).collect();
    batch.push(Change::Bound(binding(20, now + DAY)));
    batch.push(Change::Forgotten("name-20".into()));
    batch.push(Change::Bound(Binding {
        name: "over".into(),
        ..binding(30, now)
    }));
    state.write(&batch, now_and(0)).unwrap();
    drop(state);
    // A record is kept for some seconds longer than its time.
    let left = open_at(&room.file(), now_and(20)).unwrap().1;
    let last_first: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(keys(&left), keys(&last_first));
    for (read, stored) in left.iter().zip(&last_first) {
        assert!(
            read.until + 20 * SECOND >= stored.until,
            "a name is never bound for less long than was told"
        );
        assert!(read.until < stored.until + 100 * SECOND);
    }
}

/// A host without a clock of its own starts in 1970, or wherever it was last, and its clock is set when the network is
/// up. One that was suspended finds its wall clock ahead.
#[test]
fn names_are_bound_for_as_long_as_was_told_whatever_the_wall_clock_is_set_to() {
    for (name, before, after) in [
        ("at-1970", -(now_and(0).unix as i64), 0),
        ("behind", -400 * 24 * 3600, 0),
        ("suspended", 0, 30 * 3600),
        ("ahead", 90 * 24 * 3600, 0),
    ] {
        for written_after in [true, false] {
            let room = Room::new(name);
            let (mut state, _) = open_at(&room.file(), now_and(before)).unwrap();
            let until = Instant::now() + DAY;
            let early = Change::Bound(binding(1, until));
            state.write(&[early], now_and(before)).unwrap();
            let late = Change::Bound(binding(2, until));
            let (more, all) = match written_after {
                true => (vec![late], 2),
                false => (vec![], 1),
            };
            state.write(&more, now_and(after)).unwrap();
            state.write(&[], now_and(after)).unwrap();
            drop(state);
            let (_, left) = open_at(&room.file(), now_and(after)).unwrap();
            assert_eq!(left.len(), all, "{name}");
            for binding in left {
                assert!(binding.until >= until, "{name}");
                assert!(binding.until < until + 30 * SECOND, "{name}");
            }
        }
    }
}

#[test]
fn a_file_that_is_in_use_is_refused_and_the_reason_told() {
    let room = Room::new("in-use");
    let (_state, _) = open(&room.file()).unwrap();
    assert!(refusal(&room.file()).contains("another process has it open"));
}

#[test]
fn a_file_of_something_else_is_refused_and_left_as_it_was() {
    let room = Room::new("other");
    for other in [&b"alice 0707\n"[..], &[0; 5000], &[0xff; 20_000]] {
        std::fs::write(room.file(), other).unwrap();
        let refusal = refusal(&room.file());
        assert!(
            refusal.contains("damaged, or no file of the rendezvous"),
            "{refusal}"
        );
        assert!(refusal.starts_with("--state "), "{refusal}");
        assert_eq!(std::fs::read(room.file()).unwrap(), other);
    }
}

#[test]
fn records_of_another_version_are_refused() {
    let room = Room::new("version");
    let (state, _) = open(&room.file()).unwrap();
    let transaction = state.database.begin_write().unwrap();
    transaction
        .open_table(ABOUT)
        .unwrap()
        .insert("version", 2)
        .unwrap();
    transaction.commit().unwrap();
    drop(state);
    let refusal = refusal(&room.file());
    assert!(refusal.contains("records of version 2"), "{refusal}");
}

#[test]
fn more_names_than_may_be_are_refused() {
    let room = Room::new("many");
    let (mut state, _) = open(&room.file()).unwrap();
    let until = Instant::now() + DAY;
    let batch: Vec<_> = (1..=9).map(|n| Change::Bound(binding(n, until))).collect();
    state.write(&batch, now_and(0)).unwrap();
    drop(state);
    let refused = State::open(&room.file(), 8).map(drop).unwrap_err();
    assert!(
        format!("{refused:#}").contains("raise --max-names to 9"),
        "{refused:#}"
    );
    assert_eq!(State::open(&room.file(), 9).unwrap().1.len(), 9);
}

/// Each page, damaged in turn: the file is refused, or nothing of it is missing or changed.
#[test]
fn a_damaged_file_is_refused_or_whole() {
    let room = Room::new("damaged");
    let (mut state, _) = open(&room.file()).unwrap();
    let until = Instant::now() + DAY;
    let all: Vec<_> = (1..=200)
        .map(|n| binding(n, until + Duration::from_secs(n.into())))
        .collect();
    let batch: Vec<_> = all.iter().cloned().map(Change::Bound).collect();
    state.write(&batch, now_and(0)).unwrap();
    drop(state);
    let good = std::fs::read(room.file()).unwrap();
    let copy = room.0.join("copy");
    let mut refused = 0;
    // Of a run of pages that are alike (zeros, or the bitmaps of the allocator) the first.
    let page = |start: usize| &good[start..][..PAGE];
    let other = |start: &usize| *start == 0 || page(*start) != page(*start - PAGE);
    for start in (0..good.len()).step_by(PAGE).filter(other) {
        std::fs::write(&copy, &good).unwrap();
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&copy)
            .unwrap();
        let mut block = [0; 64];
        file.seek(SeekFrom::Start(start as u64)).unwrap();
        file.read_exact(&mut block).unwrap();
        file.seek(SeekFrom::Start(start as u64)).unwrap();
        file.write_all(&block.map(|byte| !byte)).unwrap();
        drop(file);
        match open(&copy) {
            Ok((_, bindings)) => assert_eq!(keys(&bindings), keys(&all), "damaged at {start}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0);
    std::fs::write(&copy, &good[..good.len() / 2]).unwrap();
    assert!(refusal(&copy).contains("damaged"));
}
