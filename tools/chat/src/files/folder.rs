//! The folder that files are received into: nothing is written outside it,
//! and nothing in it is overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::frame::FileHash;

/// The longest name on disk, in bytes, with room for a number.
const MOST_NAME: usize = 200;

/// As many files of one name, and then no more.
const MOST_NUMBERED: u32 = 10_000;

/// The folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// A file that is not whole yet. It survives the process.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    file: File,
    hasher: Box<blake3::Hasher>,
    written: u64,
}

impl Folder {
    /// That folder; it is made when the first file comes.
    pub fn new(path: PathBuf) -> Self {
        Folder(path)
    }

    /// Opens what there is of a file, or begins it. The name on disk is made
    /// of hexadecimal digits alone, of the file's hash and its sender's.
    ///
    /// # Errors
    /// What the system says; a symbolic link in its place is an error.
    pub fn part(&self, of: &[u8], hash: &FileHash, size: u64) -> io::Result<Part> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        let name = blake3::Hasher::new()
            .update(of)
            .update(&[0])
            .update(hash)
            .finalize();
        let path = self.0.join(format!(".{}.part", &name.to_hex()[..32]));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(&path)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.nlink() != 1 {
            let problem = format!("{} is not a file of ours", path.display());
            return Err(io::Error::new(ErrorKind::AlreadyExists, problem));
        }
        let mut hasher = Box::new(blake3::Hasher::new());
        let mut written = 0;
        if meta.len() > size {
            file.set_len(0)?;
        } else {
            let mut buffer = vec![0; 256 * 1024];
            loop {
                let length = file.read(&mut buffer)?;
                if length == 0 {
                    break;
                }
                hasher.update(&buffer[..length]);
                written += length as u64;
            }
        }
        file.seek(SeekFrom::Start(written))?;
        Ok(Part {
            path,
            file,
            hasher,
            written,
        })
    }

    /// Gives a whole file its name, or one like it that is free.
    ///
    /// # Errors
    /// What the system says, or that all names are taken.
    pub fn keep(&self, part: Part, name: &str) -> io::Result<PathBuf> {
        part.file.sync_all()?;
        let name = safe_name(name);
        for number in 0..MOST_NUMBERED {
            let path = self.0.join(numbered(&name, number));
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

impl Part {
    /// How much of it there is, in bytes.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.file, bytes)?;
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Whether it is what was announced.
    pub fn is(&self, hash: &FileHash) -> bool {
        self.hasher.finalize() == blake3::Hash::from_bytes(*hash)
    }

    /// Throws it away.
    ///
    /// # Errors
    /// What the system says.
    pub fn discard(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

/// What may stand on disk of a name that a peer chose: its last component,
/// nothing that is hidden, nothing that a terminal would act on.
pub fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown = crate::text::clean(last);
    let mut safe = shown.trim().trim_start_matches('.').to_owned();
    while safe.len() > MOST_NAME {
        safe.pop();
    }
    let safe = safe.trim_end();
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
    fn names_stay_in_the_folder() {
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
    fn resumes_and_never_overwrites() {
        let (folder, path) = folder("resume");
        let hash = *blake3::hash(b"hello world").as_bytes();
        let mut part = folder.part(b"bob", &hash, 11).unwrap();
        part.write(b"hello ").unwrap();
        drop(part);
        let mut part = folder.part(b"bob", &hash, 11).unwrap();
        assert_eq!(part.written(), 6);
        part.write(b"world").unwrap();
        assert!(part.is(&hash));
        assert_eq!(folder.keep(part, "a.txt").unwrap(), path.join("a.txt"));

        for expected in ["a (1).txt", "a (2).txt"] {
            let mut part = folder.part(b"bob", &hash, 11).unwrap();
            part.write(b"another one").unwrap();
            assert!(!part.is(&hash));
            let kept = folder.keep(part, "x/../a.txt").unwrap();
            assert_eq!(kept, path.join(expected));
        }
        assert_eq!(fs::read(path.join("a.txt")).unwrap(), b"hello world");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 3);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_link_is_not_followed() {
        let (folder, path) = folder("link");
        let hash = [7; 32];
        let part = folder.part(b"bob", &hash, 1).unwrap();
        let trap = part.path.clone();
        part.discard().unwrap();
        std::os::unix::fs::symlink(path.join("elsewhere"), &trap).unwrap();
        assert!(folder.part(b"bob", &hash, 1).is_err());
        fs::remove_dir_all(path).unwrap();
    }
}
