//! A code that two people can say: a number, which is public, and words, which are secret.
//!
//! `7-croissant-lavender`: the sender waits at the rendezvous under the name `code-7`. The words
//! are the password of [`proof`](crate::proof), and no packet carries them or a hash of them.
//!
//! The words are the EFF's second short list (`words.txt`, 1,296 words). Each has a beginning of
//! three letters that no other word has, and any two differ in three letters or more. It is
//! © Electronic Frontier Foundation, CC BY 3.0 US,
//! <https://www.eff.org/files/2016/09/08/eff_short_wordlist_2_0.txt>.

use std::fmt;
use std::str::FromStr;

/// The words, in the order of the alphabet.
const WORDS: &str = include_str!("words.txt");

/// Words in a code: two of them are one of 1.7 million pairs.
const LENGTH: usize = 2;

/// The longest number.
const MOST_DIGITS: usize = 6;

/// A code.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    number: u32,
    words: String,
}

/// Why a text is not a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// It does not begin with a number.
    #[error("a code begins with a number of 1 to 6 digits, as in 7-croissant-lavender")]
    Number,
    /// Too few or too many words.
    #[error("a code has {LENGTH} words behind its number, and this one has {0}")]
    Words(usize),
    /// A word that no code has.
    #[error("no code has the word {word:?}{}", did_you_mean(.near))]
    Unknown {
        /// The word.
        word: String,
        /// Words of the list that are close to it.
        near: Vec<&'static str>,
    },
}

impl Code {
    /// The code with this number, and words from `random`.
    pub fn new(number: u32, random: [u8; 16]) -> Code {
        let list = Vec::from_iter(WORDS.lines());
        let (mut rest, count) = (u128::from_be_bytes(random), list.len() as u128);
        let mut words = Vec::new();
        for _ in 0..LENGTH {
            words.push(list[(rest % count) as usize]);
            rest /= count;
        }
        Code {
            number,
            words: words.join("-"),
        }
    }

    /// The name under which the sender waits at the rendezvous.
    pub fn name(&self) -> String {
        format!("code-{}", self.number)
    }

    /// The public part.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The password of the proof.
    pub fn password(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.number, self.words)
    }
}

/// The words stay out of logs.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({})", self.number)
    }
}

impl FromStr for Code {
    type Err = CodeError;

    /// As people type it: in any case, with spaces in place of hyphens, and each word by its
    /// first three letters or more.
    fn from_str(text: &str) -> Result<Code, CodeError> {
        // The one word of the list with a hyphen would be two.
        let text = text.trim().to_lowercase().replace("yo-yo", "yo_yo");
        let between = |c: char| c == '-' || c.is_whitespace();
        let mut parts = text.split(between).filter(|part| !part.is_empty());
        let number = parts.next().unwrap_or_default();
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !(1..=MOST_DIGITS).contains(&number.len()) {
            return Err(CodeError::Number);
        }
        let number = number.parse().map_err(|_| CodeError::Number)?;
        let typed = Vec::from_iter(parts);
        if typed.len() != LENGTH {
            return Err(CodeError::Words(typed.len()));
        }
        let words: Result<Vec<&str>, _> = typed.into_iter().map(word).collect();
        Ok(Code {
            number,
            words: words?.join("-"),
        })
    }
}

/// The word of the list that is meant.
fn word(typed: &str) -> Result<&'static str, CodeError> {
    let typed = typed.replace('_', "-");
    let begins = |word: &&str| typed.chars().count() >= 3 && word.starts_with(&typed);
    let found = WORDS.lines().find(|word| *word == typed);
    found.or_else(|| WORDS.lines().find(begins)).ok_or_else(|| {
        let beginning: String = typed.chars().take(2).collect();
        let near = WORDS.lines().filter(|word| word.starts_with(&beginning));
        CodeError::Unknown {
            near: near.take(if beginning.len() < 2 { 0 } else { 5 }).collect(),
            word: typed.clone(),
        }
    })
}

fn did_you_mean(near: &[&str]) -> String {
    match near {
        [] => String::new(),
        near => format!(". Did you mean one of: {}?", near.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_what_is_said_of_it() {
        let words = Vec::from_iter(WORDS.lines());
        assert_eq!(words.len(), 1296);
        let mut beginnings = Vec::from_iter(words.iter().map(|word| &word[..3]));
        beginnings.sort_unstable();
        beginnings.dedup();
        assert_eq!(beginnings.len(), words.len());
        let hyphens = Vec::from_iter(words.iter().filter(|word| word.contains('-')));
        assert_eq!(hyphens, [&"yo-yo"]);
    }

    #[test]
    fn a_code_is_read_as_it_is_written_and_as_people_type_it() {
        for random in 0..=255 {
            let code = Code::new(7, [random; 16]);
            assert_eq!(code.to_string().parse(), Ok(code));
        }
        let code: Code = "417-croissant-yo-yo".parse().unwrap();
        assert_eq!((code.name(), code.number()), ("code-417".to_owned(), 417));
        for typed in [
            " 417 Croissant Yo-Yo ",
            "417-CROISSANT-yo-yo",
            "417 cro yo-yo",
            "417--croiss yo-",
        ] {
            if typed.ends_with("yo-") {
                assert!(typed.parse::<Code>().is_err(), "{typed}");
            } else {
                assert_eq!(typed.parse(), Ok(code.clone()), "{typed}");
            }
        }
        assert_eq!(format!("{code:?}"), "Code(417)");
    }

    #[test]
    fn what_is_wrong_with_a_code_is_said() {
        let error = |typed: &str| typed.parse::<Code>().unwrap_err().to_string();
        for number in ["", "croissant-lavender", "1234567-a-b", "-", "7x-a-b"] {
            assert!(error(number).starts_with("a code begins with"), "{number}");
        }
        assert!(error("7-croissant").ends_with("and this one has 1"));
        assert!(error("7-a-b-c").ends_with("and this one has 3"));
        let unknown = error("7-croissant-lavxnder");
        assert!(unknown.starts_with("no code has the word \"lavxnder\". Did you mean one of: la"));
    }

    #[test]
    fn every_word_comes_up() {
        let count = WORDS.lines().count() as u128;
        let first = |n: u128| Code::new(1, n.to_be_bytes()).words;
        assert_eq!(first(0), "aardvark-aardvark");
        let last = WORDS.lines().last().unwrap();
        assert_eq!(first(count * count - 1), format!("{last}-{last}"));
    }
}
