//! A NAT as a drawing: the packets of one natprobe run, between the host, its
//! NAT and the server's endpoints.

use anyhow::Context;
use serde_json::Value;

use crate::answer::Answer;
use crate::args::FigureArgs;
use crate::{input, output};

const STYLE: &str = include_str!("figure.css");

/// Where the three stand.
const HOST: u32 = 90;
const NAT: u32 = 330;
const SERVER: u32 = 620;
const WIDTH: u32 = 780;
const ROW: u32 = 34;
const TOP: u32 = 84;

/// One line of the drawing.
#[derive(Debug, PartialEq)]
enum Row {
    Title(String),
    /// A packet of the host's: where to, and from where the server saw it come.
    Out {
        to: String,
        mapped: Option<String>,
    },
    /// A packet of the server's, and whether the host heard it.
    In {
        from: String,
        passes: bool,
    },
    Text(String),
}

/// Draws the report in that file under that title.
///
/// # Errors
/// When it is not a natprobe report.
pub fn run(args: &FigureArgs) -> anyhow::Result<Answer> {
    let report: Value = serde_json::from_str(&input::text(&args.report)?)
        .ok()
        .filter(|report: &Value| report["evidence"].is_array())
        .with_context(|| format!("{} is not a natprobe report", args.report.display()))?;
    output::print(&draw(&report, &args.title))?;
    Ok(Answer::Yes)
}

fn rows(report: &Value) -> Vec<Row> {
    let none = Vec::new();
    let evidence = report["evidence"].as_array().unwrap_or(&none);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let tests = |name: &'static str| evidence.iter().filter(move |test| test["test"] == name);
    let first = |name| tests(name).next();

    let mut rows = vec![Row::Title(
        "Mapping: one socket sends to several endpoints".into(),
    )];
    rows.extend(tests("mapping").map(|test| Row::Out {
        to: text(&test["to"]).unwrap_or_default(),
        mapped: text(&test["mapped"]),
    }));
    let elsewhere = [
        (
            "other-address",
            "other_address",
            "an address to which the socket has sent nothing",
        ),
        (
            "other-port",
            "",
            "another port of the address to which it has sent",
        ),
    ];
    for (name, key, what) in elsewhere {
        let (Some(test), Some(other)) = (first(name), report["other_address"].as_str()) else {
            continue;
        };
        let asked = report["server"].as_str().unwrap_or_default();
        // The same address, with the other one's port.
        let port = other.rsplit_once(':').map_or("", |(_, port)| port);
        let address = asked.rsplit_once(':').map_or("", |(address, _)| address);
        let from = match key {
            "" => format!("{address}:{port}"),
            _ => other.to_owned(),
        };
        rows.push(Row::Title(format!("Filtering: a packet from {what}")));
        rows.push(Row::In {
            from,
            passes: test["received"].as_u64() > Some(0),
        });
    }
    if report["remaps_after_early_inbound"] == true {
        rows.push(Row::Title(
            "Early packet: the server sends first, then the host".into(),
        ));
        let before = first("allocation").and_then(|test| text(&test["mapped"]));
        for name in ["early-inbound", "after-early"] {
            let Some(test) = first(name) else { continue };
            rows.push(match name {
                "early-inbound" => Row::In {
                    from: text(&report["other_address"]).unwrap_or_default(),
                    passes: false,
                },
                _ => Row::Out {
                    to: text(&test["to"]).unwrap_or_default(),
                    mapped: text(&test["mapped"]),
                },
            });
        }
        let before = before.unwrap_or_default();
        rows.push(Row::Text(format!(
            "before the early packet the same socket was seen as {before}"
        )));
    }
    rows
}

pub fn draw(report: &Value, title: &str) -> String {
    let rows = rows(report);
    let height = TOP + ROW * rows.len() as u32 + 20;
    let axis = |axis: &str| report[axis].as_str().unwrap_or("unknown").to_owned();
    let (mapping, filtering) = (axis("mapping"), axis("filtering"));
    let caption = match report["verdict"].as_str() {
        Some("udp-blocked") => "no UDP passes".to_owned(),
        _ => format!("{mapping} mapping, {filtering} filtering"),
    };
    let (title, caption) = (escape(title), escape(&caption));
    let local = escape(report["local"].as_str().unwrap_or_default());
    let mut body = String::new();
    for (name, x) in [("host", HOST), ("NAT", NAT), ("server", SERVER)] {
        body += &format!(
            "<text class=\"name\" x=\"{x}\" y=\"56\">{name}</text>\n\
             <line class=\"life\" x1=\"{x}\" y1=\"76\" x2=\"{x}\" y2=\"{}\"/>\n",
            height - 12
        );
    }
    body += &format!("<text class=\"small\" x=\"{HOST}\" y=\"71\">{local}</text>\n");
    for (number, row) in rows.iter().enumerate() {
        body += &line(row, TOP + ROW * number as u32 + 24);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>{title}: {caption}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"12\" y=\"26\">{title}: {caption}</text>\n{body}</svg>\n"
    )
}

fn line(row: &Row, y: u32) -> String {
    match row {
        Row::Title(text) => {
            format!(
                "<text class=\"head\" x=\"12\" y=\"{y}\">{}</text>\n",
                escape(text)
            )
        }
        Row::Text(text) => format!(
            "<text class=\"small left\" x=\"{}\" y=\"{}\">{}</text>\n",
            HOST + 8,
            y - 4,
            escape(text)
        ),
        Row::Out { to, mapped } => {
            let inside = arrow(HOST, NAT, y, if mapped.is_some() { "pass" } else { "drop" });
            let outside = match mapped {
                Some(mapped) => format!(
                    "{}<text class=\"small\" x=\"{}\" y=\"{}\">seen as {}</text>\n",
                    arrow(NAT, SERVER, y, "pass"),
                    NAT.midpoint(SERVER),
                    y - 6,
                    escape(mapped)
                ),
                None => cross(NAT + 14, y),
            };
            let to = escape(to);
            format!(
                "{inside}{outside}<text class=\"end\" x=\"{}\" y=\"{}\">{to}</text>\n",
                SERVER + 6,
                y + 4
            )
        }
        Row::In { from, passes } => {
            let class = if *passes { "pass" } else { "drop" };
            let inside = match passes {
                true => arrow(NAT, HOST, y, class),
                false => cross(NAT - 14, y),
            };
            let (outside, from) = (arrow(SERVER, NAT, y, class), escape(from));
            format!(
                "{outside}{inside}<text class=\"end\" x=\"{}\" y=\"{}\">{from}</text>\n",
                SERVER + 6,
                y + 4
            )
        }
    }
}

fn arrow(from: u32, to: u32, y: u32, class: &str) -> String {
    let (end, head) = if to > from {
        (to - 8, to - 2)
    } else {
        (to + 8, to + 2)
    };
    format!(
        "<line class=\"{class}\" x1=\"{from}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\"/>\
         <path class=\"{class} head-of\" d=\"M{head} {y} L{end} {} L{end} {} Z\"/>\n",
        y - 4,
        y + 4
    )
}

fn cross(x: u32, y: u32) -> String {
    let (left, right, up, down) = (x - 5, x + 5, y - 5, y + 5);
    format!(
        "<path class=\"drop\" d=\"M{left} {up} L{right} {down} M{left} {down} L{right} {up}\"/>\n"
    )
}

/// Escapes what has a meaning in XML, and leaves out what XML may not hold.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(' '),
            character if character.is_control() => {}
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Value {
        json!({"verdict": "measured", "mapping": "endpoint-independent", "filtering": "address-dependent",
            "local": "192.168.1.2:40000", "server": "203.0.113.1:8848", "other_address": "203.0.113.2:8849",
            "remaps_after_early_inbound": false,
            "evidence": [
                {"test": "mapping", "to": "203.0.113.1:8848", "received": 5, "mapped": "203.0.113.17:40000"},
                {"test": "other-address", "to": "203.0.113.1:8848", "received": 0},
                {"test": "other-port", "to": "203.0.113.1:8848", "received": 5}]})
    }

    #[test]
    fn what_is_let_in_reaches_the_host_and_what_is_filtered_ends_at_the_nat() {
        let rows = rows(&report());
        let from = |row: &Row| match row {
            Row::In { from, passes } => Some((from.clone(), *passes)),
            _ => None,
        };
        assert_eq!(
            Vec::from_iter(rows.iter().filter_map(from)),
            [
                ("203.0.113.2:8849".into(), false),
                ("203.0.113.1:8849".into(), true)
            ]
        );
        let drawing = draw(&report(), "<restricted>");
        assert!(drawing.contains("seen as 203.0.113.17:40000"));
        assert!(drawing.contains("&lt;restricted&gt;: endpoint-independent mapping"));
        assert_eq!(drawing.matches("class=\"drop\" d=").count(), 1);
    }

    #[test]
    fn markup_and_control_characters_are_harmless() {
        assert_eq!(
            escape("<b a='1'>&\"\u{1b}[1m\n</b>"),
            "&lt;b a=&#39;1&#39;&gt;&amp;&quot;[1m &lt;/b&gt;"
        );
    }

    #[test]
    fn a_remapped_flow_is_shown_with_its_port_before() {
        let mut report = report();
        report["remaps_after_early_inbound"] = json!(true);
        let more = json!([
            {"test": "allocation", "mapped": "203.0.113.17:50000"},
            {"test": "early-inbound"},
            {"test": "after-early", "to": "203.0.113.2:8849", "mapped": "203.0.113.17:1043"}]);
        let evidence = report["evidence"].as_array_mut().unwrap();
        evidence.extend(more.as_array().unwrap().iter().cloned());
        let drawing = draw(&report, "masquerade");
        assert!(drawing.contains("seen as 203.0.113.17:1043"));
        assert!(drawing.contains("the same socket was seen as 203.0.113.17:50000"));
    }
}
