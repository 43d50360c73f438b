//! What nattrace reads from the kernel: netlink messages, and keys of nft's sets.

use crate::input::Choices;

/// The attributes of a tracked connection.
pub(crate) fn connection(data: &[u8]) {
    nattrace::fuzzing::connection(data);
}

/// A set or map of any types, with elements of any bytes.
pub(crate) fn elements(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (key_type, data_type) = (choices.word(), choices.word());
    let name = choices.of(&["m_in", "m_out", "permit"]);
    let mut elements = Vec::new();
    while !choices.is_empty() {
        elements.push((choices.bytes(), choices.bytes()));
    }
    nattrace::fuzzing::elements(key_type, data_type, name, &elements);
}

/// A netlink message with attributes as the kernel sends them: any of those that there are, in any
/// order, with any values. libnftnl, which is C, reads it.
pub(crate) fn message(data: &[u8]) {
    let mut choices = Choices::new(data);
    let kind = choices.byte() % 5;
    let (key_type, data_type) = (choices.word(), choices.word());
    let attributes = attributes(&mut choices, KINDS[usize::from(kind)], 0);
    nattrace::fuzzing::message(kind, key_type, data_type, &attributes);
}

/// What the value of an attribute is.
#[derive(Clone, Copy)]
enum Value {
    Text,
    Word,
    Long,
    Bytes,
    Nested(&'static [(u16, Value)]),
    /// A list of expressions, each with a name.
    Expressions,
    /// The type of an object, and its content if it is a counter.
    Object,
}

// linux/netfilter/nf_tables.h
const KINDS: [&[(u16, Value)]; 5] = [TABLE, SET, ELEMENTS, OBJECT, RULE];
const TABLE: &[(u16, Value)] = &[
    (1, Value::Text),
    (2, Value::Word),
    (3, Value::Word),
    (4, Value::Long),
    (6, Value::Bytes),
];
const SET: &[(u16, Value)] = &[
    (1, Value::Text),
    (2, Value::Text),
    (3, Value::Word),
    (4, Value::Word),
    (5, Value::Word),
    (6, Value::Word),
    (7, Value::Word),
    (11, Value::Long),
    (12, Value::Word),
    (13, Value::Bytes),
    (16, Value::Long),
    (18, Value::Expressions),
];
const ELEMENTS: &[(u16, Value)] = &[
    (1, Value::Text),
    (2, Value::Text),
    (3, Value::Nested(&[(1, Value::Nested(ELEMENT))])),
    (4, Value::Word),
];
const ELEMENT: &[(u16, Value)] = &[
    (1, Value::Nested(DATA)),
    (2, Value::Nested(DATA)),
    (3, Value::Word),
    (4, Value::Long),
    (5, Value::Long),
    (6, Value::Bytes),
    (10, Value::Nested(DATA)),
    (11, Value::Expressions),
];
const DATA: &[(u16, Value)] = &[
    (1, Value::Bytes),
    (2, Value::Nested(&[(1, Value::Word), (2, Value::Text)])),
];
const OBJECT: &[(u16, Value)] = &[
    (1, Value::Text),
    (2, Value::Text),
    (3, Value::Object),
    (5, Value::Word),
    (6, Value::Long),
];
const COUNTER: &[(u16, Value)] = &[(1, Value::Long), (2, Value::Long)];
const RULE: &[(u16, Value)] = &[
    (1, Value::Text),
    (2, Value::Text),
    (3, Value::Long),
    (4, Value::Expressions),
    (6, Value::Long),
    (7, Value::Bytes),
];

fn attributes(choices: &mut Choices<'_>, known: &[(u16, Value)], depth: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..choices.byte() % 8 {
        let (kind, value) = choices.of(known);
        let value = match value {
            Value::Text => text(choices),
            Value::Word => choices.word().to_be_bytes().to_vec(),
            Value::Long => choices.long().to_be_bytes().to_vec(),
            Value::Bytes => choices.bytes().iter().take(64).copied().collect(),
            Value::Nested(inner) => attributes(choices, inner, depth + 1),
            Value::Expressions => expressions(choices),
            Value::Object => {
                let counter = choices.byte() < 200;
                let of = if counter { 1_u32 } else { 2 };
                push(&mut bytes, 3, &of.to_be_bytes());
                if counter {
                    let content = attributes(choices, COUNTER, depth + 1);
                    push(&mut bytes, 4, &content);
                }
                continue;
            }
        };
        // The kernel sends 64 KiB at most.
        if bytes.len() + value.len() > 4096 >> depth {
            break;
        }
        push(&mut bytes, kind, &value);
    }
    bytes
}

fn expressions(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut list = Vec::new();
    for _ in 0..choices.byte() % 4 {
        let mut expression = Vec::new();
        if choices.byte() < 160 {
            push(&mut expression, 1, b"counter\0");
            let content = attributes(choices, COUNTER, 3);
            push(&mut expression, 2, &content);
        } else {
            push(&mut expression, 1, &text(choices));
        }
        push(&mut list, 1, &expression);
    }
    list
}

/// Appends an attribute: length, kind, value, padding.
fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = 4 + value.len() as u16;
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A text with its NUL, as libnftnl wants it.
fn text(choices: &mut Choices<'_>) -> Vec<u8> {
    let usual = choices.of(&["pinhole", "counter", "m_out", "quota", "limit", ""]);
    let mut text = usual.as_bytes().to_vec();
    if choices.byte() > 200 {
        text = choices
            .bytes()
            .iter()
            .take(31)
            .copied()
            .filter(|byte| *byte != 0)
            .collect();
    }
    text.push(0);
    text
}

/// A message of NFLOG.
pub(crate) fn report(data: &[u8]) {
    nattrace::fuzzing::report(data);
}
