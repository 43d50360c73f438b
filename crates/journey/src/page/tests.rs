//! The page holds what the trace holds, and nothing of it as markup.

use serde_json::Value;

use super::{SCRIPT, STYLE, data, html};
use crate::{
    Cause, Direction, End, How, Interface, Journey, Mapping, Node, Sighting, Tables, Trace,
};

const HOSTILE: &str = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>";

fn trace(packets: usize) -> Trace {
    let at = |text: &str| text.parse().unwrap();
    let mapping = Mapping {
        protocol: "udp".into(),
        inside: at("192.168.1.2:40000"),
        outside: at("203.0.113.17:40000"),
        destination: None,
        permits: vec![at("203.0.113.1:8848")],
        anyone: false,
    };
    let later = Mapping {
        permits: vec![at("203.0.113.1:8848"), at("203.0.113.33:0")],
        ..mapping.clone()
    };
    let tables = |t_ms, mappings| Tables {
        t_ms,
        node: "nat-alice".into(),
        mappings,
    };
    let sighting = |t_ms, node: &str, src| Sighting {
        t_ms,
        node: node.into(),
        interface: "eth0".into(),
        direction: Direction::Out,
        src: at(src),
        dst: at("203.0.113.1:8848"),
        ttl: 64,
        raw: Vec::new(),
    };
    let journey = |id| Journey {
        id,
        protocol: "udp".into(),
        what: HOSTILE.into(),
        payload_len: 3,
        payload_sha256: "ab".repeat(32),
        bytes: "45".repeat(2000),
        retransmission_of: None,
        about: None,
        sightings: vec![
            sighting(id as f64, "alice", "192.168.1.2:40000"),
            sighting(id as f64 + 1.0, "nat-alice", "203.0.113.17:40000"),
        ],
        end: End {
            how: How::Dropped,
            node: "nat-alice".into(),
            reason: Some("FILTER_PORT".into()),
            text: HOSTILE.into(),
        },
    };
    let node = |name: &str| Node {
        name: name.into(),
        description: HOSTILE.into(),
        interfaces: vec![Interface {
            name: "eth0".into(),
            addresses: Vec::new(),
        }],
    };
    Trace {
        schema: nat::Schema,
        started_unix_ns: 0,
        nodes: ["alice", "nat-alice"].map(node).into(),
        journeys: (0..packets).map(journey).collect(),
        tables: vec![
            tables(1.0, vec![mapping]),
            tables(2.0, vec![later]),
            tables(3.0, Vec::new()),
        ],
        gaps: Vec::new(),
        cause: Some(Cause {
            code: HOSTILE.into(),
            text: HOSTILE.into(),
            journey: Some(0),
            next: None,
        }),
    }
}

#[test]
fn text_of_a_packet_is_no_markup_of_the_page() {
    let page = html(&trace(2));
    assert_eq!(page.matches("<script").count(), 2, "data and script");
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains("<img") && !page.contains("<!--"));
    let data = &page[page.find("application/json\">").unwrap() + 18..];
    let data: Value = serde_json::from_str(&data[..data.find("</script").unwrap()]).unwrap();
    let texts = data["texts"].as_array().unwrap();
    assert!(texts.iter().any(|text| text == HOSTILE), "it is shown");
}

#[test]
fn nothing_is_loaded_and_one_script_runs() {
    let page = html(&trace(1));
    assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-"));
    let own = page.replace("http://www.w3.org/2000/svg", ""); // a name, and no address
    for part in [
        "http:",
        "https:",
        " src=\"",
        "@import",
        "url(",
        "<link",
        "innerHTML",
    ] {
        assert!(!own.contains(part), "{part}");
    }
    assert!(
        !STYLE.contains('<') && !SCRIPT.contains("</"),
        "they are not escaped"
    );
}

#[test]
fn a_table_is_what_changed_in_it() {
    let data: Value = serde_json::from_str(&data::json(&trace(1))).unwrap();
    let changes: Vec<(usize, usize)> = data["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| [2, 3].map(|n| it[n].as_array().unwrap().len()).into())
        .collect();
    // the mapping and its first permit; another permit; all gone
    assert_eq!(changes, [(2, 0), (1, 0), (0, 3)]);
    assert_eq!(data["entries"].as_array().unwrap().len(), 3);
}

#[test]
fn what_repeats_is_written_once_and_packets_are_cut() {
    let [few, many] = [1, 101].map(|packets| html(&trace(packets)).len());
    let each = (many - few) / 100;
    assert!(each < 1400, "{each} bytes for each packet of 2,000");
}
