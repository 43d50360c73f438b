//! What is printed.

use std::io::{self, ErrorKind, Write};

use anyhow::Context;
use cli::head::Headed;
use link::{Link, PRESETS};
use serde_json::json;
use tabled::builder::Builder;
use tabled::settings::Style;

use crate::args::ShowArgs;
use crate::carry::State;
use crate::control;

/// `natlink show`
pub fn links(args: &ShowArgs) -> anyhow::Result<()> {
    let state = control::state(&args.control.socket)?;
    if args.json {
        return print(&Headed::now("natlink", json!({"links": state})).to_json()?);
    }
    let heads = [
        "LINK",
        "DIRECTION",
        "FRAMES",
        "ARRIVED",
        "UNDER WAY",
        "LOSS",
        "QUEUE",
        "MTU",
        "SETTINGS",
    ];
    table(&heads, state.iter().map(row))
}

fn row(state: &State) -> Vec<String> {
    let State {
        link,
        direction,
        settings,
        frames,
        arrived,
        under_way,
        loss,
        queue,
        mtu,
        ..
    } = state;
    let counts = [*frames, *arrived, *under_way as u64, *loss, *queue, *mtu];
    let mut row = vec![link.clone(), direction.clone()];
    row.extend(counts.map(|count| count.to_string()));
    row.push(settings.clone());
    row
}

/// `natlink explain`
pub fn explain(words: &str) -> anyhow::Result<()> {
    print(&words.parse::<Link>()?.to_string())
}

/// `natlink presets`
pub fn presets(json: bool) -> anyhow::Result<()> {
    if json {
        let all = PRESETS.map(|preset| {
            json!({"name": preset.name, "settings": preset.settings, "source": preset.source})
        });
        return print(&Headed::now("natlink", json!({"presets": all})).to_json()?);
    }
    let rows = PRESETS.map(|preset| vec![preset.name.to_string(), preset.settings.to_string()]);
    table(&["PRESET", "SETTINGS"], rows)?;
    let sources: Vec<String> = PRESETS
        .iter()
        .map(|preset| format!("{}: {}", preset.name, preset.source))
        .collect();
    print(&format!("\nAfter:\n{}", sources.join("\n")))
}

fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> anyhow::Result<()> {
    let mut builder = Builder::default();
    builder.push_record(heads.iter().copied());
    for row in rows {
        builder.push_record(row);
    }
    let table = builder.build().with(Style::blank()).to_string();
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    print(&lines.join("\n"))
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .context("cannot write to stdout")
}

/// Whether that is why: nobody reads stdout any more.
pub fn reader_left(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    error.to_string() == "cannot write to stdout"
        && causes.any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// Tells whoever started it that the devices are there.
pub fn ready() -> anyhow::Result<()> {
    print("ready")
}
