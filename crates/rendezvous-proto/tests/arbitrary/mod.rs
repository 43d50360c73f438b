//! Messages that a client might send.

use proptest::prelude::*;
use proptest::sample::select;
use stun::{Attribute, Builder, Class, Method};

/// A message of any method and class, with some of these attributes and values.
pub fn any_message(
    attributes: Vec<Attribute>,
    value: impl Strategy<Value = Vec<u8>>,
) -> impl Strategy<Value = Builder> {
    let method = select(Method::ALL.to_vec());
    let class = select(vec![
        Class::Request,
        Class::Indication,
        Class::Success,
        Class::Error,
    ]);
    let attributes = proptest::collection::vec((select(attributes), value), 0..8);
    (method, class, attributes).prop_map(|(method, class, attributes)| {
        attributes.into_iter().fold(
            Builder::new(class, method, [4; 12]),
            |message, (attribute, value)| message.raw(attribute, &value),
        )
    })
}
