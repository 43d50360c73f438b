//! The shares of callers' prefixes in the table.

use super::*;

/// A table, and a count that makes transactions, names and ports differ.
struct Calls {
    table: Table,
    now: Instant,
    count: u32,
}

impl Calls {
    fn new() -> Self {
        Calls {
            table: Table::default(),
            now: Instant::now(),
            count: 0,
        }
    }

    /// A client of 198.`net`/24 calls. Its transaction, and the callers whose introductions end
    /// for it.
    fn call(&mut self, net: u16, callee: &str) -> Result<(Transaction, Vec<String>), u16> {
        self.count += 1;
        let mut transaction = [0; 12];
        transaction[..4].copy_from_slice(&self.count.to_be_bytes());
        let [a, b] = net.to_be_bytes();
        let client = SocketAddr::from(([198, a, b, 7], 40_000));
        let introduction = Introduction {
            request: CallerRequest {
                from: FiveTuple { socket: 0, client },
                transaction,
            },
            connect: vec![0; 640],
            caller: format!("caller of {net}"),
            caller_key: [0; 32],
            callee: callee.to_owned(),
        };
        let to = FiveTuple {
            socket: 0,
            client: "192.0.2.1:1".parse().unwrap(),
        };
        let payload = vec![0; 300];
        let ended = self.table.make_room(&introduction.request, callee)?;
        let notification = Notification { to, payload };
        self.table
            .start(self.now, transaction, introduction, notification);
        let ended = ended.into_iter().map(|introduction| introduction.caller);
        Ok((transaction, ended.collect()))
    }

    /// The same, to a callee of its own.
    fn call_anyone(&mut self, net: u16) -> Result<(Transaction, Vec<String>), u16> {
        self.call(net, &format!("callee {}", self.count))
    }

    fn pass(&mut self, time: Duration) -> usize {
        self.now += time;
        let due = self.table.due(self.now);
        let given_up = due.into_iter().filter_map(|due| match due {
            Due::GiveUp(transaction) => Some(transaction),
            Due::Notify(_) => None,
        });
        let given_up: Vec<Transaction> = given_up.collect();
        for transaction in &given_up {
            self.table.answered(self.now, transaction, vec![0; 40]);
        }
        given_up.len()
    }
}

impl Table {
    fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.by_request.is_empty()
            && self.by_caller.is_empty()
            && self.by_callee.is_empty()
            && self.schedule.is_empty()
            && self.pending.is_empty()
            && self.answered.is_empty()
    }
}

#[test]
fn a_prefix_that_fills_its_share_is_refused_and_no_other_is() {
    let mut calls = Calls::new();
    for _ in 0..5 {
        for _ in 0..MOST_PENDING_OF_PREFIX {
            let (_, ended) = calls.call_anyone(1).unwrap();
            assert_eq!(ended, [""; 0]);
        }
        assert_eq!(calls.call_anyone(1), Err(code::QUOTA_REACHED));
        assert!(calls.call_anyone(2).is_ok());
        // Its silent callees are given up, which makes room for its next calls.
        assert_eq!(calls.pass(GIVE_UP), MOST_PENDING_OF_PREFIX + 1);
    }
}

#[test]
fn the_answers_that_one_prefix_has_got_make_room_for_its_next_calls() {
    let mut calls = Calls::new();
    for _ in 0..2 * MOST_OF_PREFIX {
        let (transaction, ended) = calls.call_anyone(1).unwrap();
        assert_eq!(ended, [""; 0]);
        let now = calls.now;
        calls.table.answered(now, &transaction, vec![0; 200]);
    }
    assert_eq!(calls.table.entries.len(), MOST_OF_PREFIX);
}

#[test]
fn in_a_full_table_the_biggest_prefix_makes_room_with_its_oldest_call() {
    let mut calls = Calls::new();
    let big = (MOST / MOST_PENDING_OF_PREFIX) as u16;
    for net in 0..big {
        for _ in 0..MOST_PENDING_OF_PREFIX - usize::from(net == 1) {
            calls.call_anyone(net).unwrap();
        }
    }
    let (_, ended) = calls.call_anyone(900).unwrap();
    assert_eq!(ended, [""; 0], "there was one place");
    for n in 0..100 {
        let (_, ended) = calls.call_anyone(901 + n % 2).unwrap();
        assert_eq!(ended.len(), 1);
        let payer = ended[0].strip_prefix("caller of ").unwrap();
        assert!(payer.parse::<u16>().unwrap() < big, "{payer}");
    }
    assert_eq!(calls.table.entries.len(), MOST);
}

#[test]
fn a_table_that_many_small_prefixes_have_filled_refuses_those_that_have_as_many() {
    let mut calls = Calls::new();
    for n in 0..MOST {
        calls.call_anyone((n / 2) as u16).unwrap();
    }
    assert_eq!(calls.call_anyone(0), Err(code::INSUFFICIENT_CAPACITY));
    let (_, ended) = calls.call_anyone(0xffff).unwrap();
    assert_eq!(ended, ["caller of 0"], "the oldest of equals");
}

#[test]
fn answers_make_room_before_calls_and_calls_at_the_permitted_rate_are_never_refused() {
    let mut calls = Calls::new();
    let answered_at_once = |calls: &mut Calls, net| {
        let (transaction, ended) = calls.call_anyone(net).unwrap();
        assert_eq!(ended, [""; 0]);
        let now = calls.now;
        calls.table.answered(now, &transaction, vec![0; 200]);
    };
    // Ten prefixes, each at 2000 calls a second: 20,000 introductions a second.
    for _ in 0..2000 {
        for net in 0..10 {
            answered_at_once(&mut calls, net);
        }
        calls.pass(Duration::from_micros(500));
    }
    assert!(calls.table.entries.len() <= MOST);
    calls.pass(REMEMBER_LEAST);
    assert!(calls.table.is_empty());
}

#[test]
fn an_answer_is_kept_for_four_times_as_long_as_it_took_between_one_second_and_four() {
    for (took, kept) in [(0, 1000), (100, 1000), (500, 2000), (2900, 4000)] {
        let mut calls = Calls::new();
        let (transaction, _) = calls.call(1, "bob").unwrap();
        let request = calls.table.get(&transaction).unwrap().request.clone();
        calls.pass(Duration::from_millis(took));
        calls.table.answered(calls.now, &transaction, vec![7]);
        calls.pass(Duration::from_millis(kept - 1));
        let known = calls.table.known(&request);
        assert!(matches!(known, Known::Answered([7])), "{took}");
        calls.pass(Duration::from_millis(1));
        assert!(calls.table.is_empty(), "{took}");
    }
}

#[test]
fn one_prefix_does_not_fill_a_callee_and_many_do_not_keep_another_out() {
    let mut calls = Calls::new();
    for net in 1..=4 {
        for _ in 0..4 {
            assert!(calls.call(net, "bob").is_ok());
        }
        assert_eq!(calls.call(net, "bob"), Err(code::QUOTA_REACHED));
        assert!(calls.call(net, "carol").is_ok());
    }
    // All sixteen of bob are taken.
    let (_, ended) = calls.call(9, "bob").unwrap();
    assert_eq!(ended, ["caller of 1"]);
    // Sixteen prefixes with one call each, and then one more.
    for net in 0..16 {
        calls.call(net, "dave").unwrap();
    }
    let (_, ended) = calls.call(99, "dave").unwrap();
    assert_eq!(ended, ["caller of 0"]);
    assert_eq!(calls.call(5, "dave"), Err(code::INSUFFICIENT_CAPACITY));
}

#[test]
fn a_caller_that_leaves_takes_its_introductions_and_no_other_along() {
    let mut calls = Calls::new();
    for net in 1..=3 {
        let (transaction, _) = calls.call(net, "bob").unwrap();
        calls.call(net, "carol").unwrap();
        calls.table.answered(calls.now, &transaction, vec![7]);
    }
    calls.table.forget_caller("caller of 2");
    assert_eq!(calls.table.entries.len(), 4);
    assert_eq!(calls.table.schedule.len(), 4);
    let to = FiveTuple {
        socket: 0,
        client: "192.0.2.2:2".parse().unwrap(),
    };
    assert_eq!(calls.table.elsewhere("carol", to).len(), 2);
    assert_eq!(calls.table.elsewhere("bob", to).len(), 0, "answered");
    for net in [1, 3] {
        calls.table.forget_caller(&format!("caller of {net}"));
    }
    assert!(calls.table.is_empty());
}
