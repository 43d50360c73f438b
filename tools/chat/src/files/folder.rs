//! The folder for received files: nothing is written outside it, and nothing in
//! it is overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs::statvfs;

use super::ledger::Start;
use super::tree;

/// The longest name on disk, in bytes, with room for a number.
const MOST_NAME: usize = 200;

/// Files of one name that are kept, at most.
const MOST_NUMBERED: u32 = 10_000;

/// Files of one name, size and sender that are received at once, at most.
const MOST_PARTS: u32 = 8;

/// How long to wait for the task that has a part before another part is begun.
const LET_GO: Duration = Duration::from_secs(1);

/// The folder.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    /// Files go into folders below it, as they are called.
    tree: bool,
}

/// A file that is not whole yet. It stays on disk when the process ends.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    file: Flock<File>,
    hasher: Box<blake3::Hasher>,
    written: u64,
    /// It is whole already, under its final name: where to write if it is another file.
    instead: Option<Place>,
}

/// Where a part is written.
#[derive(Clone, Debug)]
struct Place {
    root: PathBuf,
    of: [u8; 32],
    name: String,
    size: u64,
}

impl Folder {
    /// That folder; it is created when the first file comes.
    pub fn new(path: PathBuf) -> Self {
        Folder {
            root: path,
            tree: false,
        }
    }

    /// That folder, with the folders that files come in. A file that is there already is not
    /// received again, and a part is resumed whoever offers the file.
    pub fn tree(root: PathBuf) -> Self {
        Folder { root, tree: true }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Opens the part of a file, or begins one. Its name on disk is a hash of
    /// `of`, who offers the file, and of the file's name and size.
    ///
    /// # Errors
    /// What the system says; a symbolic link in its place is an error.
    pub fn part(&self, of: &[u8], name: &str, size: u64) -> io::Result<Part> {
        let of = match self.tree {
            true => [0; 32],
            false => *blake3::hash(of).as_bytes(),
        };
        let place = Place {
            root: self.root.clone(),
            of,
            name: name.to_owned(),
            size,
        };
        // A part that was begun is of another file than the one that is there.
        if self.tree
            && !place.is_begun()
            && let Ok((folder, last)) = tree::folder_for(&self.root, name, false)
            && let Some(part) = Part::of_whole(folder.join(last), &place)?
        {
            return Ok(part);
        }
        place.open()
    }

    /// Gives a whole file its name, or one like it that is free.
    ///
    /// # Errors
    /// What the system says, or that all names are taken.
    pub fn keep(&self, part: Part, name: &str) -> io::Result<PathBuf> {
        if part.instead.is_some() {
            return Ok(part.path);
        }
        part.file.sync_all()?;
        let (folder, name) = match self.tree {
            true => tree::folder_for(&self.root, name, true)?,
            false => (self.root.clone(), safe_name(name)),
        };
        for number in 0..MOST_NUMBERED {
            let path = folder.join(numbered(&name, number));
            // Unlike a rename, a link fails where there is something already.
            match fs::hard_link(&part.path, &path) {
                Ok(()) => {
                    fs::remove_file(&part.path)?;
                    return Ok(path);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        let problem = format!("there are {MOST_NUMBERED} files called {name}");
        Err(io::Error::new(ErrorKind::AlreadyExists, problem))
    }
}

impl Place {
    /// Where the part of that number is.
    fn path(&self, number: u32) -> PathBuf {
        let digest = blake3::Hasher::new()
            .update(&self.of)
            .update(&self.size.to_be_bytes())
            .update(self.name.as_bytes())
            .finalize();
        self.root.join(match number {
            0 => format!(".{}.part", &digest.to_hex()[..32]),
            n => format!(".{}-{n}.part", &digest.to_hex()[..32]),
        })
    }

    /// Whether something of the file was received before.
    fn is_begun(&self) -> bool {
        fs::symlink_metadata(self.path(0)).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
    }

    fn open(&self) -> io::Result<Part> {
        let Place {
            root, name, size, ..
        } = self;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)?;
        let patience = Instant::now() + LET_GO;
        for number in 0..MOST_PARTS {
            let path = self.path(number);
            loop {
                if let Some(file) = lock(&path)? {
                    return Part::resume(path, file, *size)?.with_room(root, *size);
                }
                // Mostly a task has it whose link has just ended.
                if Instant::now() >= patience {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let problem = format!("{name} is being received {MOST_PARTS} times already");
        Err(io::Error::new(ErrorKind::WouldBlock, problem))
    }
}

impl Part {
    fn resume(path: PathBuf, mut file: Flock<File>, size: u64) -> io::Result<Part> {
        if file.metadata()?.len() > size {
            file.set_len(0)?;
        }
        let mut hasher = Box::new(blake3::Hasher::new());
        hasher.update_reader(&mut *file)?;
        let written = file.stream_position()?;
        Ok(Part {
            path,
            file,
            hasher,
            written,
            instead: None,
        })
    }

    /// It, if the rest of the file has room on the disk. The room is not reserved: an
    /// offer alone would fill the disk.
    fn with_room(self, root: &Path, size: u64) -> io::Result<Part> {
        let missing = size - self.written;
        let disk = statvfs(root)?;
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        if missing <= free {
            return Ok(self);
        }
        // What is there of it can be used once there is room.
        if self.written == 0 {
            self.discard()?;
        }
        let problem = format!(
            "{} has {} free, and the file needs {}",
            root.display(),
            crate::text::size(free),
            crate::text::size(missing)
        );
        Err(io::Error::new(ErrorKind::StorageFull, problem))
    }

    /// The file at `path`, if it has that size already.
    fn of_whole(path: PathBuf, instead: &Place) -> io::Result<Option<Part>> {
        let fits = |meta: fs::Metadata| meta.is_file() && meta.len() == instead.size;
        if !fs::symlink_metadata(&path).is_ok_and(fits) {
            return Ok(None);
        }
        let flags = nix::libc::O_NOFOLLOW;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&path)?;
        let Ok(file) = Flock::lock(file, FlockArg::LockSharedNonblock) else {
            return Ok(None);
        };
        let mut part = Part::resume(path, file, instead.size)?;
        part.instead = Some(instead.clone());
        Ok(Some(part))
    }

    /// How much of it there is, in bytes.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// From where on the rest is wanted.
    pub fn start(&self) -> Start {
        Start {
            offset: self.written,
            prefix: *self.hasher.finalize().as_bytes(),
        }
    }

    /// Empties it.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin_anew(&mut self) -> io::Result<()> {
        // Without another place it stays what it is: a file of the user's, which is not removed.
        if let Some(instead) = &self.instead {
            *self = instead.open()?;
        }
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.hasher.reset();
        self.written = 0;
        Ok(())
    }

    /// Appends.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Removes it.
    ///
    /// # Errors
    /// What the system says.
    pub fn discard(self) -> io::Result<()> {
        if self.instead.is_some() {
            return Ok(()); // It is not a part.
        }
        fs::remove_file(self.path)
    }
}

/// Opens a part and locks it; `None` if another task or process has it.
fn lock(path: &Path) -> io::Result<Option<Flock<File>>> {
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(errno.into()),
        };
        let meta = file.metadata()?;
        if meta.nlink() == 0 {
            continue; // It was moved to its final name before we had the lock.
        }
        if !meta.is_file() || meta.nlink() != 1 {
            let problem = format!("{} is not a part that chat has written", path.display());
            return Err(io::Error::new(ErrorKind::AlreadyExists, problem));
        }
        return Ok(Some(file));
    }
}

/// The name on disk for one that a peer chose: its last component, not hidden, and
/// without anything that a terminal would act on.
pub fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown = crate::text::clean(last);
    let safe = shown.trim().trim_start_matches('.');
    let safe = crate::text::cut(safe, MOST_NAME).trim_end();
    match safe {
        "" => "file".into(),
        safe => safe.into(),
    }
}

/// `a.txt`, `a (1).txt`, `a (2).txt`, …
fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.into();
    }
    let path = Path::new(name);
    match (path.file_stem(), path.extension()) {
        (Some(stem), Some(extension)) => format!(
            "{} ({number}).{}",
            stem.to_string_lossy(),
            extension.to_string_lossy()
        ),
        _ => format!("{name} ({number})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(test: &str) -> (Folder, PathBuf) {
        let path = std::env::temp_dir().join(format!("chat-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        (Folder::new(path.clone()), path)
    }

    #[test]
    fn names_of_peers_cannot_leave_the_folder() {
        for (name, safe) in [
            ("a.txt", "a.txt"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("/etc/shadow", "shadow"),
            ("..", "file"),
            (".", "file"),
            ("", "file"),
            ("a/", "file"),
            (".bashrc", "bashrc"),
            ("\u{1b}[2Jx", "\u{fffd}[2Jx"),
            ("größe 👋.txt", "größe 👋.txt"),
            (" \n ", "\u{fffd}"),
        ] {
            assert_eq!(safe_name(name), safe, "{name:?}");
        }
        assert!(safe_name(&"é".repeat(300)).len() <= MOST_NAME);
    }

    #[test]
    fn a_part_is_resumed_and_no_file_is_overwritten() {
        let (folder, path) = folder("resume");
        let mut part = folder.part(b"bob", "a.txt", 11).unwrap();
        part.write(b"hello ").unwrap();
        drop(part);
        let mut part = folder.part(b"bob", "a.txt", 11).unwrap();
        let start = Start {
            offset: 6,
            prefix: *blake3::hash(b"hello ").as_bytes(),
        };
        assert_eq!(part.start(), start);
        part.write(b"world").unwrap();
        let whole = *blake3::hash(b"hello world").as_bytes();
        assert_eq!(part.start().prefix, whole);
        assert_eq!(folder.keep(part, "a.txt").unwrap(), path.join("a.txt"));

        for expected in ["a (1).txt", "a (2).txt"] {
            let mut part = folder.part(b"bob", "a.txt", 11).unwrap();
            part.write(b"another one").unwrap();
            let kept = folder.keep(part, "x/../a.txt").unwrap();
            assert_eq!(kept, path.join(expected));
        }
        assert_eq!(fs::read(path.join("a.txt")).unwrap(), b"hello world");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 3);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_part_can_be_begun_anew() {
        let (folder, path) = folder("anew");
        let mut part = folder.part(b"bob", "a", 5).unwrap();
        part.write(b"wrong").unwrap();
        part.begin_anew().unwrap();
        part.write(b"right").unwrap();
        assert_eq!(part.start().prefix, *blake3::hash(b"right").as_bytes());
        let kept = folder.keep(part, "a").unwrap();
        assert_eq!(fs::read(kept).unwrap(), b"right");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn two_files_of_one_name_do_not_share_a_part() {
        let (folder, path) = folder("two");
        let mut one = folder.part(b"bob", "a", 3).unwrap();
        let mut other = folder.part(b"bob", "a", 3).unwrap();
        one.write(b"one").unwrap();
        other.write(b"two").unwrap();
        let (one, other) = (folder.keep(one, "a"), folder.keep(other, "a"));
        assert_eq!(fs::read(one.unwrap()).unwrap(), b"one");
        assert_eq!(fs::read(other.unwrap()).unwrap(), b"two");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_file_that_is_there_stays_where_another_of_its_name_cannot_be_received() {
        let path = folder("stays").1;
        let folder = Folder::tree(path.clone());
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("a"), "mine!").unwrap();
        let mut part = folder.part(b"bob", "a", 5).unwrap();
        assert_eq!(part.written(), 5);
        let hidden = part.instead.as_ref().unwrap().path(0);
        std::os::unix::fs::symlink(path.join("elsewhere"), hidden).unwrap();
        assert!(part.begin_anew().is_err());
        part.discard().unwrap();
        assert_eq!(fs::read(path.join("a")).unwrap(), b"mine!");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_part_is_resumed_beside_another_file_of_its_name_and_size() {
        let path = folder("beside").1;
        let folder = Folder::tree(path.clone());
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("a"), "mine!").unwrap();
        let mut part = folder.part(b"bob", "a", 5).unwrap();
        part.begin_anew().unwrap();
        part.write(b"yo").unwrap();
        drop(part);
        let mut part = folder.part(b"bob", "a", 5).unwrap();
        assert_eq!(part.written(), 2);
        part.write(b"urs").unwrap();
        assert_eq!(folder.keep(part, "a").unwrap(), path.join("a (1)"));
        assert_eq!(folder.part(b"bob", "a", 5).unwrap().written(), 5);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn no_file_outside_the_folder_is_taken_for_one_that_is_there() {
        let path = folder("outside").1;
        fs::create_dir_all(path.join("in")).unwrap();
        fs::create_dir_all(path.join("out")).unwrap();
        fs::write(path.join("out/secret"), "12345").unwrap();
        std::os::unix::fs::symlink(path.join("out"), path.join("in/link")).unwrap();
        let folder = Folder::tree(path.join("in"));
        let part = folder.part(b"bob", "link/secret", 5).unwrap();
        assert_eq!(part.start().offset, 0, "its hash would be told");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_symbolic_link_in_place_of_a_part_is_not_followed() {
        let (folder, path) = folder("link");
        let part = folder.part(b"bob", "a", 1).unwrap();
        let trap = part.path.clone();
        part.discard().unwrap();
        std::os::unix::fs::symlink(path.join("elsewhere"), &trap).unwrap();
        assert!(folder.part(b"bob", "a", 1).is_err());
        fs::remove_dir_all(path).unwrap();
    }
}
