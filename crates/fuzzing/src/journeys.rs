//! What vantage points hand over, joined: any bytes as packets, in any order.

use journey::watched::{ARRIVED, DEPARTED, DROPPED, Frame, Logged, LostFrame};
use journey::{Direction, Interface, Vantage, Watched};

use crate::input::Choices;

const NODES: [&str; 4] = ["alice", "nat-alice", "core", "bob"];

/// Joins what four nodes have seen, and asks for the cause.
pub(crate) fn journeys(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut watched = Watched {
        nodes: NODES
            .iter()
            .enumerate()
            .map(|(at, name)| node(at, name))
            .collect(),
        lost: Vec::new(),
    };
    let mut now = 0_u64;
    for _ in 0..64 {
        if choices.is_empty() {
            break;
        }
        now += choices.time().as_nanos() as u64;
        let at = usize::from(choices.byte()) % NODES.len();
        let node = &mut watched.nodes[at];
        let kind = choices.byte();
        let packet = choices.bytes().to_vec();
        match kind % 5 {
            0 | 1 => node.frames.push(Frame {
                at_ns: now,
                interface: usize::from(kind / 5) % node.interfaces.len(),
                direction: [Direction::In, Direction::Out][usize::from(kind % 5)],
                mac: choices.of(&[[[1; 6], [2; 6]], [[2; 6], [1; 6]]]),
                len: packet.len() + usize::from(choices.of(&[0, 0, 0, 40_000_u16])),
                segment: choices.of(&[None, None, None, Some(3), Some(0)]),
                packet,
            }),
            2 | 3 => node.logged.push(Logged {
                at_ns: choices.flag().then_some(now),
                group: choices.of(&[DROPPED, ARRIVED, DEPARTED, 9]),
                prefix: choices
                    .of(&["NO_MAPPING", "FILTER_PORT", "LISTENER", "LOSS", "x"])
                    .to_owned(),
                packet,
            }),
            _ => watched.lost.push(LostFrame {
                at_ns: now,
                link: "alice".to_owned(),
                why: "loss".to_owned(),
                frame: [&[1; 6], &[2; 6], &[8, 0][..], &packet].concat(),
            }),
        }
    }
    let mut trace = journey::join(&watched);
    for (id, journey) in trace.journeys.iter().enumerate() {
        assert_eq!(journey.id, id);
        assert!(!journey.sightings.is_empty(), "a journey that nobody saw");
        let times: Vec<f64> = journey.sightings.iter().map(|at| at.t_ms).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!(
            journey
                .about
                .is_none_or(|about| about < trace.journeys.len())
        );
        assert!(journey.retransmission_of.is_none_or(|first| first < id));
        assert!(NODES.contains(&journey.end.node.as_str()));
    }
    trace.cause = journey::cause(&trace, "alice", "bob", None);
    let shows = trace.cause.as_ref().and_then(|cause| cause.journey);
    assert!(shows.is_none_or(|id| id < trace.journeys.len()));
    let text = serde_json::to_string(&trace).expect("a trace is JSON");
    assert!(
        journey::Trace::read(&text).is_ok(),
        "what is written is read"
    );
}

fn node(at: usize, name: &str) -> Vantage {
    let interface = |name: &str, last: u8| Interface {
        name: name.to_owned(),
        addresses: vec![[203, 0, 113, last].into()],
    };
    let first = at as u8 * 2;
    Vantage {
        name: name.to_owned(),
        interfaces: vec![interface("lan", first), interface("wan", first + 1)],
        tells_arrivals: at % 2 == 1,
        ..Vantage::default()
    }
}
