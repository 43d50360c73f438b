//! What a peer of chat sends on the control stream.

use std::time::{Duration, Instant};

use chat::conversation::Conversation;
use chat::files::ledger::{Action, File, Ledger, MOST, Start};
use chat::frame::{Decoder, Frame, Hello, Item, Party};
use chat::text::{beginning, clean};
use chat::verify::{Event, Step, Verify};

use crate::input::Choices;

/// Frames out of bytes: the same ones, however the bytes are cut.
pub(crate) fn frame(data: &[u8]) {
    let mut choices = Choices::new(data);
    let piece = usize::from(choices.byte()).max(1);
    let stream = choices.rest();
    let [whole, pieces] = [stream.len().max(1), piece].map(|size| {
        let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
        for bytes in stream.chunks(size) {
            decoder.push(bytes);
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        (frames, None)
    });
    assert_eq!(whole, pieces);
    for frame in whole.0 {
        if let Frame::Item {
            item: Item::Text(text),
            ..
        } = &frame
        {
            assert!(!clean(text).chars().any(char::is_control));
            assert!(beginning(text).chars().count() <= 41);
        }
        let mut decoder = Decoder::default();
        decoder.push(&frame.encode());
        assert_eq!(decoder.next_frame(), Ok(Some(frame)));
    }
}

fn item(choices: &mut Choices<'_>) -> Item {
    let file = u64::from(choices.byte() % 40);
    match choices.byte() % 6 {
        0 => Item::Text(choices.text()),
        1 => Item::Offer {
            file,
            size: choices.long(),
            name: choices.text(),
        },
        2 => Item::Accept {
            file,
            offset: choices.long() % 2000,
            prefix: [choices.byte(); 32],
        },
        3 => Item::Decline {
            file,
            by: choices.of(&[Party::Sender, Party::Receiver]),
            why: choices.text(),
        },
        4 => Item::Complete { file },
        _ => Item::Unknown,
    }
}

fn next_frame(choices: &mut Choices<'_>, of: u64) -> Frame {
    let small = |choices: &mut Choices<'_>| match choices.byte() {
        255 => choices.long(),
        small => u64::from(small),
    };
    match choices.byte() % 8 {
        0 | 1 => Frame::Hello(Hello {
            epoch: small(choices),
            first: small(choices),
            of: if choices.flag() { of } else { small(choices) },
            received: small(choices),
            rooms: choices.flag(),
        }),
        2..=4 => Frame::Item {
            number: small(choices),
            item: item(choices),
        },
        5 => Frame::Ack(small(choices)),
        6 => Frame::Bye,
        _ => Frame::Verify(match choices.flag() {
            true => Step::Commit([choices.byte(); 32]),
            false => Step::Reveal([choices.byte(); 32]),
        }),
    }
}

/// A conversation, its files and the comparison of digits, with a peer that sends anything.
pub(crate) fn conversation(data: &[u8]) {
    const EPOCH: u64 = 7;
    let mut choices = Choices::new(data);
    let mut now = Instant::now();
    let mut conversation = Conversation::new(EPOCH, Duration::from_secs(30));
    let mut ledger = Ledger::default();
    let mut verify = Verify::new([1; 32], [2; 32], [3; 32]);
    let mut offered = 0;
    while !choices.is_empty() {
        match choices.byte() % 13 {
            0 => drop(conversation.say(now, Item::Text(choices.text()))),
            1 => conversation.link_up(u64::from(choices.byte() % 2)),
            2 => conversation.link_down(now, u64::from(choices.byte() % 2)),
            3 => conversation.open(now),
            4 => conversation.hang_up(),
            5 => now += Duration::from_millis(choices.short().into()),
            6 => {
                now = conversation.poll_timeout().map_or(now, |at| at.max(now));
                conversation.handle_timeout(now);
                let next = conversation.poll_timeout();
                assert!(
                    next.is_none_or(|next| next > now),
                    "it would be called at once"
                );
            }
            7 => {
                let (name, size) = ("ours".to_owned(), 1000);
                offered += u64::from(ledger.offer(File { name, size }).is_some());
            }
            8 => drop(verify.begin([9; 32])),
            9 => {
                // A peer that offers many files at once.
                for file in 100..100 + u64::from(choices.byte() % 64) {
                    let (size, name) = (1000, "theirs".to_owned());
                    take(&mut ledger, Item::Offer { file, size, name }, offered);
                }
            }
            _ => match next_frame(&mut choices, EPOCH) {
                Frame::Verify(step) => {
                    let _ = verify.handle(step);
                }
                frame => {
                    // A peer that does not keep to the protocol loses the link.
                    let link = u64::from(choices.byte() % 2);
                    if conversation.handle_frame(now, link, frame).is_err() {
                        conversation.link_down(now, link);
                    }
                }
            },
        }
        while let Some(event) = verify.poll_event() {
            if let Event::Digits(digits) = event {
                panic!("digits {digits} with a peer that does not know the nonce");
            }
        }
        while verify.poll_step().is_some() {}
        while let Some(frame) = conversation.poll_frame(now) {
            assert!(conversation.is_up());
            frame.encode();
        }
        while let Some(event) = conversation.poll_event() {
            if let chat::conversation::Event::Received(item) = event {
                take(&mut ledger, item, offered);
            }
        }
        assert!(conversation.waiting() <= 1000);
        assert!(ledger.interrupted().len() <= MOST);
    }
}

/// What the peer says of files.
fn take(ledger: &mut Ledger, item: Item, offered: u64) {
    match ledger.handle_item(item) {
        Some(Action::Ask(file)) => {
            if ledger.accept(file) {
                let start = Start {
                    offset: 0,
                    prefix: [0; 32],
                };
                assert!(ledger.ask(file, start).is_some());
            }
        }
        Some(Action::Send { file, from }) => {
            assert!(
                file <= offered && from.offset <= 1000,
                "a file that was not offered"
            );
        }
        Some(Action::Completed { number, .. }) => assert!(number <= offered),
        Some(Action::Say(_) | Action::Ended { .. }) | None => {}
    }
}
