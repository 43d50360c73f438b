//! A record for each frame that does not arrive, for those who look for a packet: one JSON line.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::Serialize;

/// How much of a frame a record has, in bytes: the headers, and what tells packets apart.
const FRAME: usize = 128;
/// The most that is written, in bytes. One last line then says that no more are.
const MOST: u64 = 64 << 20;

/// The file, if there is one.
pub struct Drops {
    file: Option<BufWriter<File>>,
    written: u64,
}

#[derive(Serialize)]
struct Record<'a> {
    /// Since 1970, in nanoseconds.
    time_ns: u64,
    link: &'a str,
    direction: &'a str,
    why: &'a str,
    bytes: usize,
    frame: String,
}

impl Drops {
    /// Makes the file, or empties it.
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let file = path.map(|path| {
            let file = File::create(path);
            file.with_context(|| format!("cannot write dropped frames to {}", path.display()))
        });
        Ok(Drops {
            file: file.transpose()?.map(BufWriter::new),
            written: 0,
        })
    }

    /// Records a frame that was dropped now. They are in the file after [`flush`](Self::flush).
    pub fn record(
        &mut self,
        link: &str,
        direction: &str,
        why: &str,
        frame: &[u8],
    ) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut record = Record {
            time_ns: now.map_or(0, |now| now.as_nanos() as u64),
            link,
            direction,
            why,
            bytes: frame.len(),
            frame: hex::encode(&frame[..frame.len().min(FRAME)]),
        };
        let full = self.written >= MOST;
        if full {
            record.why = "file-full";
        }
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        file.write_all(&line)?;
        self.written += line.len() as u64;
        if full {
            file.flush()?;
            self.file = None;
        }
        Ok(())
    }

    /// Writes what has been recorded.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_ends_with_a_line_that_says_so() {
        let path = std::env::temp_dir().join(format!("natlink-drops-{}", std::process::id()));
        let mut drops = Drops::open(Some(&path)).unwrap();
        drops.record("wan", "up", "loss", &[1; 200]).unwrap();
        drops.written = MOST;
        for _ in 0..3 {
            drops.record("wan", "up", "loss", &[2; 3]).unwrap();
        }
        drops.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["bytes"], 200);
        assert_eq!(lines[0]["frame"], "01".repeat(FRAME));
        assert_eq!(
            (&lines[0]["why"], &lines[1]["why"]),
            (&"loss".into(), &"file-full".into())
        );
    }
}
