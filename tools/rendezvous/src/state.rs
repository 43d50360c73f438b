//! The file of `--state`: which key each name is bound to. redb keeps it: whatever ends the
//! process, the file has the last transaction that was committed, and no part of another.

mod record;

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use redb::{
    Database, DatabaseError, ReadableTable, ReadableTableMetadata, StorageError, Table,
    TableDefinition,
};
use rendezvous_proto::bindings::{Binding, Change};
use tokio::sync::mpsc::UnboundedSender;

/// The layout of the records. Another one gets another number, and the older is read as well.
const VERSION: u64 = 1;

const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("about");
const NAMES: TableDefinition<&str, &[u8]> = TableDefinition::new("names");

/// Changes in one transaction. As many are stored at once as have come while the one before was written.
const MOST_AT_ONCE: usize = 4096;

/// How often the clocks are compared, at least.
const COMPARED: Duration = Duration::from_secs(60);

/// The open file. It is locked: no other process opens it.
pub struct State {
    database: Database,
    path: PathBuf,
    /// When the wall clock was compared last with the one of the server.
    clock: Clock,
}

/// What has become of changes.
pub type Stored = anyhow::Result<u64>;

impl State {
    /// Opens the file, or makes it, and checks the whole of it. Names that are no longer bound are left out. With
    /// it come the bindings, in the order in which they end; there are `most` of them at most.
    ///
    /// # Errors
    /// When it cannot be opened, is in use, is damaged, has records of another version, or has too many names.
    pub fn open(path: &Path, most: usize) -> anyhow::Result<(State, Vec<Binding>)> {
        let owned = path.to_owned();
        // redb may panic on a page that is damaged.
        let read = move || State::read(&owned, most, Clock::now);
        let opened = std::thread::spawn(read).join();
        let file = path.display();
        let opened = opened.unwrap_or_else(|_| Err(damaged("a page of it cannot be read")));
        opened.with_context(|| format!("--state {file}"))
    }

    fn read(
        path: &Path,
        most: usize,
        now: impl Fn() -> anyhow::Result<Clock>,
    ) -> anyhow::Result<(State, Vec<Binding>)> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .context("cannot open it")?;
        let is_new = file.metadata().context("cannot look at it")?.len() == 0;
        let mut database = Database::builder()
            .create_with_file_format_v3(true)
            .create_file(file)
            .map_err(not_opened)?;
        if is_new {
            // Its name in the folder outlives a crash of the host as well.
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
            synced.with_context(|| format!("cannot write to {}", folder.display()))?;
        } else {
            let whole = database.check_integrity();
            whole.map_err(|error| damaged(&error.to_string()))?;
        }
        let state = State {
            database,
            path: path.to_owned(),
            clock: now()?,
        };
        let bindings = state.load()?;
        anyhow::ensure!(
            bindings.len() <= most,
            "it has {} names, and --max-names is {most}: raise --max-names to {} or more",
            bindings.len(),
            bindings.len()
        );
        Ok((state, bindings))
    }

    /// Makes the tables if there are none, and reads them.
    fn load(&self) -> anyhow::Result<Vec<Binding>> {
        let transaction = self.database.begin_write()?;
        let mut bindings = Vec::new();
        {
            let mut about = transaction
                .open_table(ABOUT)
                .map_err(|error| damaged(&error.to_string()))?;
            let mut names = transaction
                .open_table(NAMES)
                .map_err(|error| damaged(&error.to_string()))?;
            let version = about.get("version")?.map(|version| version.value());
            match version {
                Some(VERSION) => {}
                None if names.is_empty()? => drop(about.insert("version", VERSION)?),
                None => return Err(damaged("it has names and no version")),
                Some(version) => anyhow::bail!(
                    "it has records of version {version}, and this rendezvous knows version {VERSION}: use the \
                     rendezvous that wrote it, or a newer one"
                ),
            }
            for entry in names.iter()? {
                let (name, record) = entry.map_err(|error| damaged(&error.to_string()))?;
                let name = name.value();
                let read = record::read(name, record.value(), &self.clock);
                bindings.push(read.ok_or_else(|| no_record(name))?);
            }
            let now = self.clock.now;
            for over in bindings.iter().filter(|binding| binding.until <= now) {
                names.remove(over.name.as_str())?;
            }
            bindings.retain(|binding| binding.until > now);
        }
        transaction.commit().context("cannot write to it")?;
        bindings.sort_by_key(|binding| binding.until);
        Ok(bindings)
    }

    /// Stores what is sent, in a thread of its own, and tells how many changes are stored each time that some are,
    /// until one cannot be stored.
    pub fn store(mut self, stored: UnboundedSender<Stored>) -> Sender<Change> {
        let (sender, changes) = channel();
        std::thread::spawn(move || {
            while let Some(batch) = next_batch(&changes) {
                let written = Clock::now().and_then(|clock| self.write(&batch, clock));
                let written = written
                    .map(|()| batch.len() as u64)
                    .with_context(|| format!("cannot write to --state {}", self.path.display()));
                let failed = written.is_err();
                if stored.send(written).is_err() || failed {
                    return;
                }
            }
        });
        sender
    }

    /// All of these, or none. Where the wall clock was set since the times were compared last, the times of all
    /// records are set with it.
    fn write(&mut self, batch: &[Change], clock: Clock) -> anyhow::Result<()> {
        let ahead = clock.set_since(&self.clock);
        let was_set = ahead.unsigned_abs() >= record::SLACK;
        if batch.is_empty() && !was_set {
            return Ok(());
        }
        let transaction = self.database.begin_write()?;
        {
            let mut names = transaction.open_table(NAMES)?;
            if was_set {
                shift(&mut names, ahead)?;
            }
            for change in batch {
                match change {
                    Change::Bound(binding) => {
                        let record = record::write(binding, &clock);
                        names.insert(binding.name.as_str(), record.as_slice())?;
                    }
                    Change::Forgotten(name) => drop(names.remove(name.as_str())?),
                }
            }
        }
        // It waits until the disk has it.
        transaction.commit()?;
        if was_set {
            self.clock = clock;
        }
        Ok(())
    }
}

/// Adds these seconds to the time of each record.
fn shift(names: &mut Table<&str, &[u8]>, seconds: i64) -> anyhow::Result<()> {
    let mut shifted = Vec::new();
    for entry in names.iter()? {
        let (name, record) = entry?;
        let name = name.value();
        let record = record::shifted(record.value(), seconds);
        shifted.push((name.to_owned(), record.ok_or_else(|| no_record(name))?));
    }
    for (name, record) in shifted {
        names.insert(name.as_str(), record.as_slice())?;
    }
    Ok(())
}

/// Waits for a change, and takes what has come with it; `None`: there will be no more. It is empty once in a while,
/// where there is none.
fn next_batch(changes: &Receiver<Change>) -> Option<Vec<Change>> {
    let first = match changes.recv_timeout(COMPARED) {
        Ok(first) => first,
        Err(RecvTimeoutError::Timeout) => return Some(Vec::new()),
        Err(RecvTimeoutError::Disconnected) => return None,
    };
    let more = changes.try_iter().take(MOST_AT_ONCE - 1);
    Some(std::iter::once(first).chain(more).collect())
}

fn not_opened(error: DatabaseError) -> anyhow::Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            anyhow::anyhow!("another process has it open: end that one, or name another file")
        }
        DatabaseError::UpgradeRequired(format) => anyhow::anyhow!(
            "it is a redb file of format {format}, which this rendezvous did not write: name another file"
        ),
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() != std::io::ErrorKind::InvalidData =>
        {
            anyhow::Error::new(error).context("cannot open it")
        }
        error => damaged(&error.to_string()),
    }
}

fn no_record(name: &str) -> anyhow::Error {
    damaged(&format!(
        "what it has of {name:?} is not a record of a name"
    ))
}

fn damaged(why: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "it is damaged, or no file of the rendezvous ({why}). Put a copy of it in its place; or move it away: the \
         rendezvous then starts without names, and each name goes to the first that registers it"
    )
}

/// The wall clock and the one of the server, at one moment. The wall clock may be set, and goes on while the host is
/// suspended; the one of the server does neither.
#[derive(Clone, Copy)]
struct Clock {
    unix: u64,
    now: Instant,
}

impl Clock {
    fn now() -> anyhow::Result<Self> {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        Ok(Clock {
            unix: unix.as_secs(),
            now: Instant::now(),
        })
    }

    /// How many seconds the wall clock has gone more than the other since `before`.
    fn set_since(&self, before: &Clock) -> i64 {
        let passed = self.now.saturating_duration_since(before.now).as_secs();
        let seconds = |unix: u64| i64::try_from(unix).unwrap_or(i64::MAX);
        seconds(self.unix) - seconds(before.unix.saturating_add(passed))
    }
}

#[cfg(test)]
mod tests;
