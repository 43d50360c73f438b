//! The files of a trace.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use cli::head::Headed;
use journey::watched::LostFrame;
use journey::{Said, Trace, Vantage, ladder, pcapng};
use serde::Deserialize;

/// A file, and what is written to it.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    path: PathBuf,
    format: Format,
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Json,
    Html,
    Pcapng,
    Text,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let format = match path.extension().and_then(|ending| ending.to_str()) {
            Some("json") => Format::Json,
            Some("html") => Format::Html,
            Some("pcapng") => Format::Pcapng,
            Some("txt") => Format::Text,
            _ => {
                return Err(
                    "the file's name must end with .json, .pcapng, .html or .txt".to_owned(),
                );
            }
        };
        Ok(Output { path, format })
    }
}

impl Output {
    pub(crate) fn write(&self, trace: &Trace) -> Result<()> {
        let write = || -> Result<()> {
            let mut file = BufWriter::new(File::create(&self.path)?);
            match self.format {
                Format::Json => serde_json::to_writer(&mut file, &Headed::now("nattrace", trace))?,
                Format::Html => file.write_all(journey::page::html(trace).as_bytes())?,
                Format::Pcapng => pcapng::write(trace, &mut file)?,
                Format::Text => {
                    let text = ladder::render(trace, &ladder::Options::default());
                    file.write_all(text.as_bytes())?;
                }
            }
            file.flush()?;
            Ok(())
        };
        write().with_context(|| format!("cannot write the trace to {}", self.path.display()))
    }
}

/// Writes what each node has seen, as NODE.json.
pub(super) fn record(folder: &Path, nodes: &[Vantage]) -> Result<()> {
    let write = |vantage: &Vantage| -> Result<()> {
        let mut file = BufWriter::new(File::create(folder.join(format!("{}.json", vantage.name)))?);
        serde_json::to_writer(&mut file, vantage)?;
        file.flush()?;
        Ok(())
    };
    std::fs::create_dir_all(folder)
        .map_err(Into::into)
        .and_then(|()| nodes.iter().try_for_each(write))
        .with_context(|| format!("cannot write what was seen to {}", folder.display()))
}

/// The part of punch's report that says why it failed.
#[derive(Deserialize)]
struct Report {
    cause: Option<ReportedCause>,
}

#[derive(Deserialize)]
struct ReportedCause {
    code: String,
    text: String,
}

/// What punch said of its failure. `None`: there is no report, since another program ran, or it did not fail.
pub(super) fn said(path: &Path) -> Option<Said> {
    let text = std::fs::read_to_string(path).ok()?;
    let report: Report = serde_json::from_str(&text).ok()?;
    report.cause.map(|cause| Said {
        code: cause.code,
        text: cause.text,
    })
}

/// A line of natlink's record.
#[derive(Deserialize)]
struct Drop {
    time_ns: u64,
    link: String,
    why: String,
    frame: String,
}

/// Reads natlink's record of dropped frames.
pub(super) fn drops(path: &Path) -> Result<Vec<LostFrame>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read dropped frames from {}", path.display()))?;
    text.lines()
        .map(|line| {
            let drop: Drop = serde_json::from_str(line)
                .with_context(|| format!("{} is not a record of natlink", path.display()))?;
            Ok(LostFrame {
                at_ns: drop.time_ns,
                link: drop.link,
                why: drop.why,
                frame: hex::decode(drop.frame)
                    .map_err(|error| anyhow::anyhow!("a dropped frame: {error}"))?,
            })
        })
        .collect()
}
