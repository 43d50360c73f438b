use super::outbox::{MOST_BYTES, MOST_WAITING};
use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn text(n: usize) -> Item {
    Item::Text(format!("message {n}"))
}

/// Two sides and a link that may swallow what is on it.
struct Pair {
    now: Instant,
    sides: [Conversation; 2],
    link: LinkId,
    /// What each side has received, and how much of its own was delivered.
    heard: [Vec<Item>; 2],
    delivered: [Vec<u64>; 2],
    gave_up: [Vec<Item>; 2],
    calls: [usize; 2],
    restarted: usize,
}

impl Pair {
    fn new() -> Pair {
        Pair {
            now: Instant::now(),
            sides: [1, 2].map(|epoch| Conversation::new(epoch, PATIENCE)),
            link: 0,
            heard: Default::default(),
            delivered: Default::default(),
            gave_up: Default::default(),
            calls: [0; 2],
            restarted: 0,
        }
    }

    fn say(&mut self, side: usize, n: usize) {
        self.sides[side].say(self.now, text(n)).unwrap();
    }

    fn up(&mut self) {
        self.link += 1;
        for side in &mut self.sides {
            side.link_up(self.link);
        }
    }

    fn down(&mut self) {
        for side in 0..2 {
            self.sides[side].link_down(self.now, self.link);
        }
        self.events();
    }

    /// Lets `most` frames of each side through; those that follow stay unsent.
    fn carry(&mut self, most: usize) {
        for _ in 0..most {
            let frames = [0, 1].map(|side| self.sides[side].poll_frame(self.now));
            if frames.iter().all(Option::is_none) {
                break;
            }
            for (from, frame) in frames.into_iter().enumerate() {
                if let Some(frame) = frame {
                    let to = &mut self.sides[1 - from];
                    to.handle_frame(self.now, self.link, frame).unwrap();
                }
            }
            self.events();
        }
    }

    /// Takes `most` frames of each side and loses them.
    fn lose(&mut self, most: usize) {
        for side in &mut self.sides {
            for _ in 0..most {
                side.poll_frame(self.now);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in &mut self.sides {
            side.handle_timeout(self.now);
        }
        self.events();
    }

    fn events(&mut self) {
        for side in 0..2 {
            while let Some(event) = self.sides[side].poll_event() {
                match event {
                    Event::Received(item) => self.heard[side].push(item),
                    Event::Delivered { number, .. } => self.delivered[side].push(number),
                    Event::GaveUp(items) => self.gave_up[side].extend(items),
                    Event::Call => self.calls[side] += 1,
                    Event::Restarted => self.restarted += 1,
                    Event::Greeted { rooms } => assert!(rooms),
                }
            }
        }
    }
}

fn texts(range: std::ops::Range<usize>) -> Vec<Item> {
    range.map(text).collect()
}

#[test]
fn items_go_both_ways_and_each_side_learns_that_its_own_have_arrived() {
    let mut pair = Pair::new();
    pair.say(0, 0);
    pair.say(0, 1);
    pair.up();
    pair.say(1, 0);
    pair.carry(20);
    assert_eq!(pair.heard, [texts(0..1), texts(0..2)]);
    assert_eq!(pair.delivered, [vec![0, 1], vec![0]]);
    assert!(pair.sides.iter().all(Conversation::owes_nothing));
}

#[test]
fn items_arrive_once_and_in_order_whatever_is_lost_with_a_link() {
    // Links that break after every possible number of frames, with frames
    // lost that were already sent.
    for through in 0..12 {
        for lost in 0..6 {
            let mut pair = Pair::new();
            let mut said = 0;
            for _ in 0..5 {
                for _ in 0..3 {
                    pair.say(0, said);
                    pair.say(1, said);
                    said += 1;
                }
                pair.up();
                pair.carry(through);
                pair.lose(lost);
                pair.down();
            }
            pair.up();
            pair.carry(100);
            assert_eq!(pair.heard[0], texts(0..said), "{through} {lost}");
            assert_eq!(pair.heard[1], texts(0..said), "{through} {lost}");
            let all: Vec<u64> = (0..said as u64).collect();
            assert_eq!(pair.delivered, [all.clone(), all]);
            assert_eq!(pair.restarted, 0, "a new link is no restart");
        }
    }
}

#[test]
fn a_new_link_replaces_one_that_only_one_side_knows_to_be_lost() {
    let mut pair = Pair::new();
    pair.up();
    pair.carry(5);
    pair.say(0, 0);
    pair.lose(3);
    // The other side still has the old link when the new one comes.
    pair.up();
    pair.carry(10);
    assert_eq!(pair.heard[1], texts(0..1));
}

#[test]
fn a_path_without_acknowledgements_is_suspected_again_and_again() {
    let mut pair = Pair::new();
    pair.up();
    pair.carry(5);
    let before = pair.calls[0];
    pair.say(0, 0);
    pair.lose(1);
    pair.pass(SUSPECT_AFTER - Duration::from_millis(1));
    assert_eq!(pair.calls[0], before);
    pair.pass(Duration::from_millis(1));
    assert_eq!(pair.calls[0], before + 1);
    pair.pass(SUSPECT_AFTER);
    assert_eq!(pair.calls[0], before + 1);
    pair.pass(SUSPECT_AGAIN);
    assert_eq!(pair.calls[0], before + 2);
    // Not while anything comes.
    pair.sides[0].reassure(pair.now);
    pair.pass(SUSPECT_AFTER / 2 - Duration::from_millis(1));
    assert_eq!(pair.calls[0], before + 2);
    // A link on which nothing was said is not suspected.
    assert_eq!(pair.calls[1], 0);
}

#[test]
fn without_a_path_for_too_long_it_reports_what_was_not_delivered() {
    let mut pair = Pair::new();
    pair.up();
    pair.say(0, 0);
    pair.carry(10);
    pair.down();
    pair.say(0, 1);
    pair.say(0, 2);
    pair.sides[0].attempt_failed(pair.now);
    pair.pass(CALL_AGAIN);
    assert_eq!(pair.calls[0], 2, "after the loss, and again");
    pair.pass(PATIENCE);
    assert_eq!(pair.gave_up[0], texts(1..3));
    assert!(pair.sides[0].is_idle());
    // The conversation can go on without them.
    pair.say(0, 3);
    pair.up();
    pair.carry(10);
    assert_eq!(pair.heard[1], [text(0), text(3)]);
}

#[test]
fn a_restarted_peer_gets_what_the_old_process_has_not_acknowledged() {
    let mut pair = Pair::new();
    pair.up();
    pair.say(0, 0);
    pair.carry(10);
    pair.say(0, 1);
    pair.lose(1);
    pair.down();
    pair.sides[1] = Conversation::new(77, PATIENCE);
    pair.up();
    pair.carry(10);
    assert_eq!(pair.heard[1], texts(0..2));
    assert_eq!(pair.restarted, 1);
}

#[test]
fn violations_of_the_protocol_are_reported() {
    let fresh = || {
        let mut side = Conversation::new(1, PATIENCE);
        side.link_up(1);
        side
    };
    let now = Instant::now();
    let hello = |of, received| {
        Frame::Hello(Hello {
            epoch: 9,
            first: 0,
            of,
            received,
            rooms: false,
        })
    };
    let item = |number| Frame::Item {
        number,
        item: text(0),
    };
    assert_eq!(fresh().handle_frame(now, 1, item(0)), Err(Violation::Hello));
    assert_eq!(
        fresh().handle_frame(now, 1, hello(1, 5)),
        Err(Violation::Ack)
    );
    let mut side = fresh();
    side.handle_frame(now, 1, hello(0, 0)).unwrap();
    assert_eq!(
        side.handle_frame(now, 1, hello(0, 0)),
        Err(Violation::Hello)
    );
    let gap = Violation::Gap {
        expected: 0,
        got: 1,
    };
    assert_eq!(side.handle_frame(now, 1, item(1)), Err(gap));
    assert_eq!(
        side.handle_frame(now, 1, Frame::Ack(1)),
        Err(Violation::Ack)
    );
    assert_eq!(side.handle_frame(now, 7, item(5)), Ok(()), "another link");
}

#[test]
fn items_that_wait_have_a_bound_in_number_and_in_bytes() {
    let mut side = Conversation::new(1, PATIENCE);
    let now = Instant::now();
    let said = (0..).take_while(|&n| side.say(now, text(n)).is_ok());
    assert_eq!(said.count(), MOST_WAITING);
    let mut side = Conversation::new(1, PATIENCE);
    let long = || Item::Text("x".repeat(crate::frame::MOST_TEXT));
    let said = (0..).take_while(|_| side.say(now, long()).is_ok());
    assert!(said.count() <= 1 + MOST_BYTES / crate::frame::MOST_TEXT);
}
