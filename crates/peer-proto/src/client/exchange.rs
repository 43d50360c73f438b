//! A request and its transmissions.

use std::time::{Duration, Instant};

use stun::{Message, Transaction};

/// The first wait for an answer. It is doubled with each retransmission.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Transmissions whose times are kept, the first ones. The waits grow to 3.2 s, so they
/// are those of the first minutes.
const MOST_TIMES: usize = 64;

#[derive(Debug)]
pub(super) struct Exchange {
    transaction: Transaction,
    bytes: Vec<u8>,
    /// Where the number of the transmission is in the bytes.
    number_at: usize,
    /// When each transmission was sent.
    sent: Vec<Instant>,
    next: Instant,
    wait: Duration,
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) transaction: Transaction,
    pub(super) bytes: Vec<u8>,
    /// Where the value of its TRANSMISSION is.
    pub(super) number_at: usize,
}

impl Exchange {
    /// A request that has been sent once.
    pub(super) fn new(now: Instant, request: Numbered) -> Self {
        Self {
            transaction: request.transaction,
            bytes: request.bytes,
            number_at: request.number_at,
            sent: vec![now],
            next: now + FIRST_WAIT,
            wait: FIRST_WAIT,
        }
    }

    pub(super) fn transaction(&self) -> Transaction {
        self.transaction
    }

    /// The request, as it was sent when `answer` was caused.
    pub(super) fn answered_by(&self, answer: &Message<'_>) -> Vec<u8> {
        self.numbered(answer.transmission().unwrap_or_default())
    }

    fn numbered(&self, number: u8) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if let Some(at) = bytes.get_mut(self.number_at) {
            *at = number;
        }
        bytes
    }

    /// The cookie that the request shows.
    pub(super) fn cookie(&self) -> Option<&[u8]> {
        Message::parse(&self.bytes).ok()?.nonce()
    }

    /// The round trip of this answer, which comes now. `None` where it does not tell
    /// which transmission it answers, and the request was sent more than once (Karn's
    /// algorithm, RFC 6298 §3).
    pub(super) fn rtt(&self, now: Instant, answer: &Message<'_>) -> Option<Duration> {
        let number = match (answer.transmission(), self.sent.as_slice()) {
            (Some(number), _) => usize::from(number),
            (None, [_]) => 0,
            (None, _) => return None,
        };
        let sent = self.sent.get(number)?;
        Some(now.saturating_duration_since(*sent))
    }

    /// When the next retransmission is due.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// The retransmission that is due. No wait is longer than `longest`.
    pub(super) fn poll_transmit(&mut self, now: Instant, longest: Duration) -> Option<Vec<u8>> {
        (self.next <= now).then(|| {
            self.wait = (self.wait * 2).min(longest);
            self.next = now + self.wait;
            let number = self.sent.len();
            if number < MOST_TIMES {
                self.sent.push(now);
            }
            self.numbered(number as u8)
        })
    }
}

#[cfg(test)]
mod tests {
    use stun::{Builder, Method};

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn exchange(now: Instant) -> Exchange {
        let request = Builder::request(Method::Register, [3; 12]);
        let number_at = request.length() + 4;
        let bytes = request.transmission(0).pad_to(100).finish();
        let transaction = [3; 12];
        Exchange::new(
            now,
            Numbered {
                transaction,
                bytes,
                number_at,
            },
        )
    }

    #[test]
    fn an_answer_to_any_transmission_tells_the_round_trip() {
        let start = Instant::now();
        let mut exchange = exchange(start);
        for (at, number) in [(100, 1), (300, 2), (700, 3)] {
            let sent = exchange.poll_transmit(start + ms(at), ms(400)).unwrap();
            assert_eq!(Message::parse(&sent).unwrap().transmission(), Some(number));
        }
        let now = start + ms(750);
        for (number, rtt) in [(0, 750), (1, 650), (2, 450), (3, 50)] {
            let request = exchange.numbered(number);
            let answer = Builder::success(&Message::parse(&request).unwrap()).finish();
            let answer = Message::parse(&answer).unwrap();
            assert_eq!(exchange.rtt(now, &answer), Some(ms(rtt)));
            assert_eq!(exchange.answered_by(&answer), request);
        }
    }

    #[test]
    fn a_number_that_was_never_sent_tells_nothing() {
        let start = Instant::now();
        let mut exchange = exchange(start);
        exchange.poll_transmit(start + ms(100), ms(400));
        for number in [2, 255] {
            let request = exchange.numbered(number);
            let answer = Builder::success(&Message::parse(&request).unwrap()).finish();
            let answer = Message::parse(&answer).unwrap();
            assert_eq!(exchange.rtt(start + ms(150), &answer), None);
        }
        let silent = Builder::new(stun::Class::Success, Method::Register, [3; 12]).finish();
        let silent = Message::parse(&silent).unwrap();
        assert_eq!(exchange.rtt(start + ms(150), &silent), None);
    }

    #[test]
    fn a_server_that_answers_after_minutes_does_not_make_it_grow() {
        let start = Instant::now();
        let mut exchange = exchange(start);
        for _ in 0..300 {
            exchange.poll_transmit(exchange.poll_timeout(), ms(3200));
        }
        assert_eq!(exchange.sent.len(), MOST_TIMES);
    }
}
