use std::collections::BTreeSet;

use super::*;

fn member(n: u8) -> Member {
    Member {
        name: format!("m{n:02}"),
        key: [n; 32],
    }
}

/// Rooms of several people, and the conversations between them.
struct People {
    rooms: Vec<Room>,
    /// Pairs that have a conversation.
    met: BTreeSet<(usize, usize)>,
    /// What was said and has not arrived, from whom and to whom.
    under_way: VecDeque<(usize, usize, InRoom)>,
    told: Vec<(usize, Output)>,
    said: usize,
}

impl People {
    fn new(count: u8) -> People {
        People {
            rooms: (0..count)
                .map(|n| Room::new("tea".into(), member(n)))
                .collect(),
            met: BTreeSet::new(),
            under_way: VecDeque::new(),
            told: Vec::new(),
            said: 0,
        }
    }

    fn index(name: &str) -> usize {
        name[1..].parse().unwrap()
    }

    /// They have a conversation, and tell each other that they are in the room.
    fn meet(&mut self, a: usize, b: usize) {
        if self.met.insert((a.min(b), a.max(b))) {
            self.rooms[a].announce(&member(b as u8).name);
            self.rooms[b].announce(&member(a as u8).name);
        }
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            for from in 0..self.rooms.len() {
                while let Some(output) = self.rooms[from].poll_output() {
                    match output {
                        Output::Say(to, says) => {
                            self.said += 1;
                            self.under_way.push_back((from, Self::index(&to), says));
                        }
                        Output::Meet { member, .. } => {
                            let to = Self::index(&member.name);
                            if self.met.insert((from.min(to), from.max(to))) {
                                self.rooms[from].announce(&member.name);
                                self.rooms[to].announce(&super::tests::member(from as u8).name);
                            }
                        }
                        other => self.told.push((from, other)),
                    }
                }
            }
            let Some((from, to, says)) = self.under_way.pop_front() else {
                break;
            };
            self.rooms[to].handle(&member(from as u8), says);
        }
    }

    fn present(&self, at: usize) -> Vec<usize> {
        self.rooms[at]
            .present()
            .map(|name| Self::index(name))
            .collect()
    }

    fn others(&self, at: usize, of: usize) -> Vec<usize> {
        (0..of).filter(|n| *n != at).collect()
    }
}

#[test]
fn members_tell_each_other_and_every_pair_meets() {
    let mut people = People::new(16);
    for n in 1..16 {
        // Each comes by somebody else.
        people.meet(n, n / 2);
    }
    for at in 0..16 {
        assert_eq!(people.present(at), people.others(at, 16));
    }
    let joined = |(_, output): &&(usize, Output)| matches!(output, Output::Joined(_));
    assert_eq!(
        people.told.iter().filter(joined).count(),
        16 * 15,
        "once each"
    );
    // Four for each pair, and who comes is told by some before those have met it.
    let most = 8 * 16 * 15;
    assert!(people.said < most, "{} items", people.said);
}

#[test]
fn those_who_are_there_are_told_of_who_comes_once() {
    let mut room = Room::new("tea".into(), member(0));
    room.handle(&member(1), InRoom::Join(Vec::new()));
    while room.poll_output().is_some() {}
    room.handle(&member(2), InRoom::Join(Vec::new()));
    let outputs = Vec::from_iter(std::iter::from_fn(|| room.poll_output()));
    let joins = |n: u8| Output::Say(member(1).name, InRoom::Join(vec![member(n)]));
    assert!(outputs.contains(&joins(2)), "{outputs:?}");
    // Of the third m01 has told us itself.
    room.handle(&member(1), InRoom::Join(vec![member(3)]));
    room.handle(&member(3), InRoom::Join(Vec::new()));
    let outputs = Vec::from_iter(std::iter::from_fn(|| room.poll_output()));
    assert!(outputs.contains(&Output::Joined(member(3).name)));
    assert!(!outputs.contains(&joins(3)), "{outputs:?}");
}

#[test]
fn the_seventeenth_is_refused_and_leaves_those_that_had_a_place() {
    let mut people = People::new(18);
    for n in 1..17 {
        people.meet(n, 0);
    }
    assert_eq!(people.present(0), people.others(0, 16));
    let full = (16, Output::Full("m00".into()));
    assert!(people.told.contains(&full));
    // One that is not in the room cannot send a member away.
    people.rooms[3].handle(&member(17), InRoom::Full);
    people.told.clear();
    people.settle();
    assert_eq!(people.told, []);
}

#[test]
fn who_is_told_and_has_not_come_makes_room_for_who_comes() {
    let mut room = Room::new("tea".into(), member(0));
    let told = (2..17).map(member).collect();
    room.handle(&member(1), InRoom::Join(told));
    assert_eq!((room.present().count(), room.told().count()), (1, 14));
    room.handle(&member(20), InRoom::Join(Vec::new()));
    assert_eq!((room.present().count(), room.told().count()), (2, 13));
}

#[test]
fn we_are_not_told_of_ourselves_and_the_first_key_of_a_name_stays() {
    let mut room = Room::new("tea".into(), member(0));
    let mut other = member(2);
    other.key = [9; 32];
    let told = vec![member(0), member(2), other];
    room.handle(&member(1), InRoom::Join(told));
    let meets = Vec::from_iter(
        std::iter::from_fn(|| room.poll_output()).filter_map(|output| match output {
            Output::Meet { member, by, .. } => Some((member, by)),
            _ => None,
        }),
    );
    assert_eq!(meets, [(member(2), "m01".to_owned())]);
}

#[test]
fn a_member_that_is_lost_is_looked_for_some_times_and_one_that_left_is_not() {
    let mut room = Room::new("tea".into(), member(0));
    for n in [1, 2, 3] {
        room.handle(&member(n), InRoom::Join(Vec::new()));
    }
    while room.poll_output().is_some() {}
    room.gave_up("m01", false);
    room.handle(&member(2), InRoom::Leave);
    room.restarted("m03");
    let gone = |n: u8, why| Some(Output::Gone(member(n).name, why));
    assert_eq!(room.poll_output(), gone(1, Why::Lost));
    assert_eq!(room.poll_output(), gone(2, Why::Left));
    assert_eq!(room.poll_output(), gone(3, Why::Restarted));
    let mut meets = Vec::new();
    for _ in 0..20 {
        room.retry();
        while let Some(output) = room.poll_output() {
            let Output::Meet { member, .. } = output else {
                panic!("{output:?}");
            };
            // It is not there, or is there without knowing that it was in the room.
            room.gave_up(&member.name, true);
            room.restarted(&member.name);
            meets.push(member.name);
        }
    }
    for (name, tries) in [("m01", MOST_TRIES), ("m02", 0), ("m03", MOST_TRIES)] {
        let met = meets.iter().filter(|met| *met == name);
        assert_eq!((met.count(), room.knows(name)), (tries as usize, false));
    }
    // It comes back by itself, and is in the room as before.
    room.handle(&member(1), InRoom::Join(Vec::new()));
    assert_eq!(room.poll_output(), Some(Output::Joined("m01".into())));
}

#[test]
fn who_waits_for_the_user_is_not_forgotten() {
    let mut room = Room::new("tea".into(), member(0));
    room.handle(&member(1), InRoom::Join(vec![member(2)]));
    for _ in 0..100 {
        room.retry();
        room.waits("m02");
    }
    assert!(room.knows("m02"));
    room.forget("m02");
    assert!(!room.knows("m02"));
}

#[test]
fn a_message_counts_who_has_it_and_who_will_not() {
    let mut room = Room::new("tea".into(), member(0));
    for n in [1, 2, 3] {
        room.handle(&member(n), InRoom::Join(Vec::new()));
    }
    while room.poll_output().is_some() {}
    let to = |items: [u64; 3]| (1..4).map(|n| member(n).name).zip(items).collect();
    assert_eq!(room.said("hello", to([5, 0, 9])), 1);
    assert_eq!(room.said("again", to([6, 1, 10])), 2);
    assert_eq!(room.delivered("m01", 4), None, "a message to m01 alone");
    let tally = |number, text: &str, delivered, lost| Tally {
        number,
        text: text.into(),
        of: 3,
        delivered,
        lost,
    };
    assert_eq!(room.delivered("m01", 5), Some(tally(1, "hello", 1, 0)));
    assert_eq!(room.delivered("m01", 5), None);
    assert_eq!(room.delivered("m03", 9), Some(tally(1, "hello", 2, 0)));
    room.gave_up("m02", false);
    let lost = |tally| Some(Output::Lost("m02".into(), tally));
    assert_eq!(room.poll_output(), lost(tally(1, "hello", 2, 1)));
    assert_eq!(room.poll_output(), lost(tally(2, "again", 0, 1)));
    assert!(tally(1, "hello", 2, 1).is_last());
    room.delivered("m01", 6);
    let last = room.delivered("m03", 10).unwrap();
    assert!(last.is_last() && last.delivered == 2);
}

#[test]
fn who_is_not_in_the_room_says_nothing_there() {
    let mut room = Room::new("tea".into(), member(0));
    assert!(!room.has("m01"));
    room.handle(&member(1), InRoom::Join(Vec::new()));
    assert!(room.has("m01"));
    room.handle(&member(1), InRoom::Leave);
    assert!(!room.has("m01"));
}
