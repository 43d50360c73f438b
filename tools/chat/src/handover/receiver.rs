//! The side that was told the code: it says yes or no to what there is, and counts what comes.

/// Links on which we show that we know the code without being shown the same. Each gives
/// somebody in the middle one guess; a path may break at that moment by itself.
const MOST_TRIES: u32 = 3;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// We do not know yet what there is.
    Unannounced,
    /// The user is asked.
    Asking,
    /// The files are wanted.
    Taking,
}

/// What an offer of a file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The files are not wanted, or not yet.
    Unwanted,
    /// It is one of those that were announced.
    Expected,
    /// It is more than was announced.
    TooMuch,
}

/// The receiving side.
#[derive(Debug)]
pub struct Receiver {
    asks: bool,
    stage: Stage,
    tries: u32,
    /// The sender has proven that it knows the code.
    pub proven: bool,
    /// How many files there are, and their size together.
    pub total: (u64, u64),
    /// What may still be offered.
    left: (u64, u64),
    /// Files that are here, and their size together.
    pub received: (u64, u64),
    failed: u64,
}

impl Receiver {
    /// Nothing is known yet. With `asks`, the user decides.
    pub fn new(asks: bool) -> Receiver {
        Receiver {
            asks,
            stage: Stage::Unannounced,
            tries: 0,
            proven: false,
            total: (0, 0),
            left: (0, 0),
            received: (0, 0),
            failed: 0,
        }
    }

    /// Whether we may show once more that we know the code; counts it.
    pub fn may_try(&mut self) -> bool {
        self.tries += 1;
        self.tries <= MOST_TRIES
    }

    /// The sender has proven it.
    pub fn proven(&mut self) {
        (self.tries, self.proven) = (0, true);
    }

    /// The sender says what there is; true if the user has to be asked. `None` if it has said
    /// so before.
    pub fn announced(&mut self, files: u64, bytes: u64) -> Option<bool> {
        if self.stage != Stage::Unannounced {
            return None;
        }
        (self.total, self.left) = ((files, bytes), (files, bytes));
        self.stage = Stage::Asking;
        Some(self.asks)
    }

    /// Whether the user is asked.
    pub fn is_asking(&self) -> bool {
        self.stage == Stage::Asking
    }

    /// The files are wanted.
    pub fn take(&mut self) {
        self.stage = Stage::Taking;
    }

    /// The sender is another process than before: it says again what there is. A user who has
    /// agreed is not asked again.
    pub fn restart(&mut self) {
        self.asks &= self.stage != Stage::Taking;
        self.stage = Stage::Unannounced;
        (self.received, self.failed) = ((0, 0), 0);
    }

    /// A file of this size is offered.
    pub fn offered(&mut self, size: u64) -> Offer {
        if self.stage != Stage::Taking {
            return Offer::Unwanted;
        }
        let (files, bytes) = self.left;
        match files.checked_sub(1).zip(bytes.checked_sub(size)) {
            Some(left) => {
                self.left = left;
                Offer::Expected
            }
            None => Offer::TooMuch,
        }
    }

    /// A file is here, or will not come.
    pub fn ended(&mut self, received: Option<u64>) {
        match received {
            Some(size) => {
                self.received.0 += 1;
                self.received.1 += size;
            }
            None => self.failed += 1,
        }
    }

    /// Once every file has ended: how many are not here.
    pub fn outcome(&self) -> Option<u64> {
        let ended = self.received.0 + self.failed == self.total.0;
        (self.stage == Stage::Taking && ended).then_some(self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_in_the_middle_has_three_guesses() {
        let mut receiver = Receiver::new(false);
        assert_eq!(
            [(); 4].map(|()| receiver.may_try()),
            [true, true, true, false]
        );
        let mut receiver = Receiver::new(false);
        receiver.may_try();
        receiver.proven();
        assert_eq!(
            [(); 4].map(|()| receiver.may_try()),
            [true, true, true, false]
        );
    }

    #[test]
    fn a_sender_that_was_restarted_says_again_what_there_is() {
        let mut receiver = Receiver::new(true);
        receiver.announced(2, 10);
        receiver.take();
        receiver.offered(5);
        receiver.ended(Some(5));
        receiver.restart();
        assert_eq!(receiver.offered(5), Offer::Unwanted);
        assert_eq!(
            receiver.announced(2, 10),
            Some(false),
            "the user is not asked again"
        );
        receiver.take();
        assert_eq!(
            [5, 5, 0].map(|size| receiver.offered(size)),
            [Offer::Expected, Offer::Expected, Offer::TooMuch]
        );
    }

    #[test]
    fn no_more_is_taken_than_was_announced() {
        let mut receiver = Receiver::new(true);
        assert_eq!(receiver.offered(1), Offer::Unwanted);
        assert_eq!(receiver.announced(2, 10), Some(true));
        assert_eq!(
            (receiver.announced(9, 99), receiver.offered(1)),
            (None, Offer::Unwanted)
        );
        receiver.take();
        assert_eq!(receiver.offered(11), Offer::TooMuch);
        assert_eq!(
            [6, 5, 4, 0].map(|size| receiver.offered(size)),
            [
                Offer::Expected,
                Offer::TooMuch,
                Offer::Expected,
                Offer::TooMuch
            ]
        );
        receiver.ended(Some(6));
        assert_eq!(receiver.outcome(), None);
        receiver.ended(None);
        assert_eq!((receiver.outcome(), receiver.received), (Some(1), (1, 6)));
    }
}
