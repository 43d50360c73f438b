//! libnftnl, with the only unsafe code: each function has libnftnl parse one netlink message, and copies
//! what is needed into owned values.
//!
//! `message` is always a whole message, header included, as [`mnl::NlMessages`] hands it out:
//! aligned, and as long as its header says. libnftnl checks the attributes in it, and ends the process for
//! one that the kernel never sends.
#![allow(unsafe_code)]

use std::collections::HashSet;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::ptr::NonNull;

use libc::nlmsghdr;
use nftnl_sys as sys;

use super::nft::{Counter, Element, Set};
use netfilter::attributes::{HEADERS, value};

// linux/netfilter/nf_tables.h
const NFT_SET_ANONYMOUS: u32 = 1;
const NFT_OBJECT_COUNTER: u32 = 1;
const NFTA_TABLE_NAME: u16 = 1;

/// A table's name.
pub(crate) fn table_name(message: &[u8]) -> io::Result<String> {
    // nftnl reads the name without asking whether there is one.
    let attributes = message.get(HEADERS..).unwrap_or_default();
    value(attributes, NFTA_TABLE_NAME).ok_or_else(malformed)?;
    let mut names = HashSet::new();
    // SAFETY: see `header`; the reference does not outlive the message.
    nftnl::table::get_tables_cb(unsafe { &*header(message)? }, &mut names);
    let name = names.into_iter().next().ok_or_else(malformed)?;
    Ok(name.to_string_lossy().into_owned())
}

/// A set or map without its elements.
pub(crate) fn set(message: &[u8]) -> io::Result<Set> {
    let set = ParsedSet::of(message, sys::nftnl_set_nlmsg_parse)?;
    Ok(Set {
        name: set.string(sys::NFTNL_SET_NAME),
        key_type: set.u32(sys::NFTNL_SET_KEY_TYPE).unwrap_or(0),
        data_type: set.u32(sys::NFTNL_SET_DATA_TYPE).unwrap_or(0),
        timeout_ms: set.u64(sys::NFTNL_SET_TIMEOUT),
        anonymous: set.u32(sys::NFTNL_SET_FLAGS).unwrap_or(0) & NFT_SET_ANONYMOUS != 0,
    })
}

/// Some elements of a set or map: a large one comes in several messages.
pub(crate) fn elements(message: &[u8]) -> io::Result<Vec<Element>> {
    unsafe extern "C" fn push(element: *mut sys::nftnl_set_elem, list: *mut c_void) -> c_int {
        // SAFETY: `list` is the vector below, which nobody else uses meanwhile, and libnftnl
        // calls back with an element that lives as long as its set.
        unsafe { (*list.cast::<Vec<Element>>()).push(element_of(element)) };
        0
    }
    let set = ParsedSet::of(message, sys::nftnl_set_elems_nlmsg_parse)?;
    let mut list = Vec::<Element>::new();
    // SAFETY: the set is valid, and `push` gets the pointer it expects.
    unsafe { sys::nftnl_set_elem_foreach(set.0.as_ptr(), Some(push), (&raw mut list).cast()) };
    Ok(list)
}

/// A named counter; `None` for a stateful object of another kind.
pub(crate) fn object_counter(message: &[u8]) -> io::Result<Option<Counter>> {
    let header = header(message)?;
    // SAFETY: the object is freed once, after its last use; getters get the object's own kind of
    // attribute, and strings are copied before that.
    unsafe {
        let object = NonNull::new(sys::nftnl_obj_alloc())
            .ok_or_else(no_memory)?
            .as_ptr();
        let counter = (|| {
            parsed(sys::nftnl_obj_nlmsg_parse(header, object))?;
            let of_counter = sys::nftnl_obj_get_u32(object, sys::NFTNL_OBJ_TYPE as u16);
            Ok((of_counter == NFT_OBJECT_COUNTER).then(|| Counter {
                name: string(sys::nftnl_obj_get_str(object, sys::NFTNL_OBJ_NAME as u16)),
                packets: sys::nftnl_obj_get_u64(object, sys::NFTNL_OBJ_CTR_PKTS as u16),
                bytes: sys::nftnl_obj_get_u64(object, sys::NFTNL_OBJ_CTR_BYTES as u16),
            }))
        })();
        sys::nftnl_obj_free(object);
        counter
    }
}

/// The counter in a rule, by the rule's comment or else its chain and handle; `None` for a rule
/// without a counter.
pub(crate) fn rule_counter(message: &[u8]) -> io::Result<Option<Counter>> {
    let header = header(message)?;
    // SAFETY: as for objects.
    unsafe {
        let rule = NonNull::new(sys::nftnl_rule_alloc())
            .ok_or_else(no_memory)?
            .as_ptr();
        let counter = parsed(sys::nftnl_rule_nlmsg_parse(header, rule)).map(|()| counter_in(rule));
        sys::nftnl_rule_free(rule);
        counter
    }
}

/// SAFETY: `rule` is valid.
unsafe fn counter_in(rule: *mut sys::nftnl_rule) -> Option<Counter> {
    unsafe extern "C" fn find(expression: *mut sys::nftnl_expr, found: *mut c_void) -> c_int {
        // SAFETY: `found` is the option below; the expression lives as long as its rule, and the
        // counter's attributes are asked of counters only.
        unsafe {
            let name = sys::nftnl_expr_get_str(expression, sys::NFTNL_EXPR_NAME as u16);
            if !name.is_null() && CStr::from_ptr(name) == c"counter" {
                let get = |attribute: u32| sys::nftnl_expr_get_u64(expression, attribute as u16);
                *found.cast::<Option<(u64, u64)>>() = Some((
                    get(sys::NFTNL_EXPR_CTR_PACKETS),
                    get(sys::NFTNL_EXPR_CTR_BYTES),
                ));
            }
        }
        0
    }
    let mut found = None::<(u64, u64)>;
    // SAFETY: the rule is valid by contract, `find` gets the pointer it expects, and the user data
    // is copied while the rule lives.
    let (chain, handle, comment) = unsafe {
        sys::nftnl_expr_foreach(rule, Some(find), (&raw mut found).cast());
        let mut length = 0;
        let data = sys::nftnl_rule_get_data(rule, sys::NFTNL_RULE_USERDATA as u16, &raw mut length);
        (
            string(sys::nftnl_rule_get_str(rule, sys::NFTNL_RULE_CHAIN as u16)),
            sys::nftnl_rule_get_u64(rule, sys::NFTNL_RULE_HANDLE as u16),
            comment(&bytes(data, length)),
        )
    };
    let name = comment.unwrap_or_else(|| format!("{chain} #{handle}"));
    found.map(|(packets, bytes)| Counter {
        name,
        packets,
        bytes,
    })
}

/// nft keeps a rule's comment in its user data: type 0, length, text with its NUL.
fn comment(mut data: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = data {
        let value = rest.get(..usize::from(*length))?;
        if *kind == 0 {
            let text = CStr::from_bytes_until_nul(value).ok()?;
            return Some(text.to_string_lossy().into_owned());
        }
        data = &rest[value.len()..];
    }
    None
}

/// SAFETY: `element` is valid.
unsafe fn element_of(element: *mut sys::nftnl_set_elem) -> Element {
    // SAFETY: valid by contract; a number is asked for only when it is there, bytes that are not
    // come as null, and those that are get copied while the element lives.
    unsafe {
        let get_bytes = |attribute: u32| {
            let mut length = 0;
            let data = sys::nftnl_set_elem_get(element, attribute as u16, &raw mut length);
            bytes(data, length)
        };
        let get_u64 = |attribute: u32| {
            sys::nftnl_set_elem_is_set(element, attribute as u16)
                .then(|| sys::nftnl_set_elem_get_u64(element, attribute as u16))
        };
        Element {
            key: get_bytes(sys::NFTNL_SET_ELEM_KEY),
            data: get_bytes(sys::NFTNL_SET_ELEM_DATA),
            timeout_ms: get_u64(sys::NFTNL_SET_ELEM_TIMEOUT),
            remaining_ms: get_u64(sys::NFTNL_SET_ELEM_EXPIRATION),
        }
    }
}

/// A libnftnl set, freed with this.
struct ParsedSet(NonNull<sys::nftnl_set>);

impl ParsedSet {
    fn of(
        message: &[u8],
        parse: unsafe extern "C" fn(*const nlmsghdr, *mut sys::nftnl_set) -> c_int,
    ) -> io::Result<Self> {
        // SAFETY: allocates; `header` vouches for the message.
        unsafe {
            let set = ParsedSet(NonNull::new(sys::nftnl_set_alloc()).ok_or_else(no_memory)?);
            let read = parsed(parse(header(message)?, set.0.as_ptr()));
            if read.is_err() {
                // It is left allocated: where libnftnl (seen in 1.2.4) cannot read an expression of a
                // set, it frees the expressions before it, and would free them again with the set.
                std::mem::forget(set);
                return Err(malformed());
            }
            Ok(set)
        }
    }

    fn has(&self, attribute: u32) -> bool {
        // SAFETY: the set is valid as long as `self`, here and below.
        unsafe { sys::nftnl_set_is_set(self.0.as_ptr(), attribute as u16) }
    }

    fn string(&self, attribute: u32) -> String {
        // SAFETY: as above; the string is copied before the set goes.
        unsafe { string(sys::nftnl_set_get_str(self.0.as_ptr(), attribute as u16)) }
    }

    fn u32(&self, attribute: u32) -> Option<u32> {
        // SAFETY: as above; the attribute is there.
        self.has(attribute)
            .then(|| unsafe { sys::nftnl_set_get_u32(self.0.as_ptr(), attribute as u16) })
    }

    fn u64(&self, attribute: u32) -> Option<u64> {
        // SAFETY: as above; the attribute is there.
        self.has(attribute)
            .then(|| unsafe { sys::nftnl_set_get_u64(self.0.as_ptr(), attribute as u16) })
    }
}

impl Drop for ParsedSet {
    fn drop(&mut self) {
        // SAFETY: allocated by nftnl_set_alloc and freed nowhere else.
        unsafe { sys::nftnl_set_free(self.0.as_ptr()) };
    }
}

/// The message as C sees it. Sound to dereference, and to give to libnftnl, as long as the message
/// lives: it is checked to be aligned and at least as long as its header says.
fn header(message: &[u8]) -> io::Result<*const nlmsghdr> {
    let header = message.as_ptr().cast::<nlmsghdr>();
    let whole = header.is_aligned()
        && message.len() >= size_of::<nlmsghdr>()
        // SAFETY: aligned and long enough, and any bytes make a header.
        && unsafe { (*header).nlmsg_len } as usize <= message.len();
    whole.then_some(header).ok_or_else(malformed)
}

fn parsed(result: c_int) -> io::Result<()> {
    if result < 0 { Err(malformed()) } else { Ok(()) }
}

/// SAFETY: null, or a NUL-terminated string.
unsafe fn string(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by contract.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// SAFETY: null, or `length` readable bytes.
unsafe fn bytes(data: *const c_void, length: u32) -> Vec<u8> {
    if data.is_null() {
        return Vec::new();
    }
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length as usize) }.to_vec()
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "libnftnl cannot read the kernel's answer",
    )
}

fn no_memory() -> io::Error {
    io::ErrorKind::OutOfMemory.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_found_among_other_user_data() {
        assert_eq!(comment(b"\x01\x02ab\x00\x03hi\0").as_deref(), Some("hi"));
        assert_eq!(comment(b"\x01\x02ab"), None);
        assert_eq!(comment(b"\x00\x09hi\0"), None);
        assert_eq!(comment(b""), None);
    }

    #[test]
    fn malformed_messages_are_refused() {
        #[repr(align(4))]
        struct Aligned([u8; 20]);
        let mut message = Aligned([0; 20]);
        message.0[..4].copy_from_slice(&21_u32.to_ne_bytes());
        assert!(header(&message.0).is_err(), "longer than it is");
        message.0[..4].copy_from_slice(&20_u32.to_ne_bytes());
        assert!(header(&message.0).is_ok());
        assert!(table_name(&message.0).is_err(), "a table without a name");
        assert!(header(&message.0[..12]).is_err(), "no room for the header");
        assert!(header(&message.0[1..]).is_err(), "not aligned");
    }
}
