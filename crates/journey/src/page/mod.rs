//! A trace as one page for a browser: the ladder, each packet decoded, and what the NATs held at any moment.
//!
//! The page loads nothing: style, script and data are in it. It has no text of a packet as markup: the data is JSON
//! in an element that is no script, and the script makes text nodes of it. The policy of the page allows that one
//! script and no other.

mod data;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::Trace;

const STYLE: &str = include_str!("page.css");

/// Each part uses only those before it.
const SCRIPT: &str = concat!(
    "'use strict';\n",
    include_str!("model.js"),
    include_str!("decode.js"),
    include_str!("tables.js"),
    include_str!("packet.js"),
    include_str!("ladder.js"),
    include_str!("page.js"),
);

/// The page.
pub fn html(trace: &Trace) -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    let policy =
        format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { "Packets: " (title(trace)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "What became of each packet" }
                    div #cause {}
                }
                form #filter role="search" aria-label="Filter the packets" {
                    input #text type="search" placeholder="filter: text, address, port, reason  ( / )"
                        aria-label="Packets that contain these words" autocomplete="off" spellcheck="false";
                    select #flow aria-label="Flow" {}
                    select #outcome aria-label="Outcome" {}
                    span #count role="status" {}
                    span.zoom role="group" aria-label="Zoom" {
                        button #smaller type="button" aria-label="Smaller" title="Smaller ( - )" { "−" }
                        button #larger type="button" aria-label="Larger" title="Larger ( + )" { "+" }
                    }
                }
                main {
                    section #ladder aria-label="The ladder" {
                        div #scroll tabindex="0" role="listbox" aria-label="Packets, in the order of time" {
                            div #all {}
                        }
                    }
                    section #packet hidden tabindex="-1" aria-label="The packet" {}
                    section #nats aria-label="What the NATs held" {
                        div #time {
                            label for="moment" { "What the NATs held at " output #at for="moment" {} }
                            input #moment type="range" min="0" step="1";
                        }
                        div #tables {}
                    }
                }
                footer {
                    p {
                        "Keys: " kbd { "↑" } " " kbd { "↓" } " packet, " kbd { "Enter" } " open it, "
                        kbd { "Esc" } " close, " kbd { "←" } " " kbd { "→" } " move sideways, "
                        kbd { "/" } " filter, " kbd { "+" } " " kbd { "-" } " zoom."
                    }
                    p #ends {}
                }
                script #data type="application/json" { (PreEscaped(data::json(trace))) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string() + "\n"
}

/// How many packets there are, and the names of the nodes.
fn title(trace: &Trace) -> String {
    let nodes: Vec<&str> = trace.nodes.iter().map(|node| node.name.as_str()).collect();
    format!("{} at {}", trace.journeys.len(), nodes.join(", "))
}

#[cfg(test)]
mod tests;
