//! What a setting may be: from texts, as every source of settings delivers them, to values.

use std::{fmt::Display, marker::PhantomData, ops::RangeInclusive, str::FromStr};

use clap::ValueEnum;

/// How the texts of a setting are read, and what they may be.
pub trait Kind {
    /// What comes out.
    type Value;

    /// The value. No text at all says that nobody has set it; the error says why a text is none.
    fn read(&self, texts: &[String]) -> Result<Self::Value, String>;

    /// What is allowed, in words.
    fn allowed(&self) -> String;

    /// Whether it takes any number of texts.
    fn is_list(&self) -> bool {
        false
    }

    /// Whether its flag may stand without a value.
    fn is_switch(&self) -> bool {
        false
    }
}

/// The same, whatever comes out.
pub trait Check: Sync {
    /// Whether the texts are a value.
    fn check(&self, texts: &[String]) -> Result<(), String>;
    /// What is allowed, in words.
    fn allowed(&self) -> String;
    /// Whether it takes any number of texts.
    fn is_list(&self) -> bool;
    /// Whether its flag may stand without a value.
    fn is_switch(&self) -> bool;
}

impl<K: Kind + Sync> Check for K {
    fn check(&self, texts: &[String]) -> Result<(), String> {
        self.read(texts).map(drop)
    }

    fn allowed(&self) -> String {
        Kind::allowed(self)
    }

    fn is_list(&self) -> bool {
        Kind::is_list(self)
    }

    fn is_switch(&self) -> bool {
        Kind::is_switch(self)
    }
}

/// On or off.
pub struct Switch;

impl Kind for Switch {
    type Value = bool;

    fn read(&self, texts: &[String]) -> Result<bool, String> {
        let text = one(texts)?;
        text.parse().ok().ok_or_else(|| format!("{text:?} is neither true nor false"))
    }

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn is_switch(&self) -> bool {
        true
    }
}

/// A whole number between two bounds.
pub struct Whole<T>(pub RangeInclusive<T>);

impl<T: FromStr + PartialOrd + Display> Kind for Whole<T> {
    type Value = T;

    fn read(&self, texts: &[String]) -> Result<T, String> {
        let text = one(texts)?;
        text.parse()
            .ok()
            .filter(|number| self.0.contains(number))
            .ok_or_else(|| format!("{text:?} is not such a number"))
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }
}

/// One of several words.
pub struct Choice<T>(PhantomData<fn() -> T>);

impl<T> Choice<T> {
    /// Of those of the type.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: ValueEnum> Kind for Choice<T> {
    type Value = T;

    fn read(&self, texts: &[String]) -> Result<T, String> {
        let text = one(texts)?;
        T::from_str(text, false).ok().ok_or_else(|| format!("{text:?} is none of these words"))
    }

    fn allowed(&self) -> String {
        let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        format!("one of {}", words.map(|word| word.get_name().to_owned()).collect::<Vec<_>>().join(", "))
    }
}

/// Whatever the type reads, and what that is in words.
pub struct Parsed<T>(&'static str, PhantomData<fn() -> T>);

impl<T> Parsed<T> {
    /// With what is allowed.
    pub const fn new(allowed: &'static str) -> Self {
        Self(allowed, PhantomData)
    }
}

impl<T: FromStr<Err: Display>> Kind for Parsed<T> {
    type Value = T;

    fn read(&self, texts: &[String]) -> Result<T, String> {
        let text = one(texts)?;
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        text.parse().map_err(|error: T::Err| error.to_string())
    }

    fn allowed(&self) -> String {
        self.0.to_owned()
    }
}

/// What need not be set.
pub struct Maybe<K>(pub K);

impl<K: Kind> Kind for Maybe<K> {
    type Value = Option<K::Value>;

    fn read(&self, texts: &[String]) -> Result<Self::Value, String> {
        if texts.is_empty() { Ok(None) } else { self.0.read(texts).map(Some) }
    }

    fn allowed(&self) -> String {
        self.0.allowed()
    }
}

/// Any number of them.
pub struct Many<K>(pub K);

impl<K: Kind> Kind for Many<K> {
    type Value = Vec<K::Value>;

    fn read(&self, texts: &[String]) -> Result<Self::Value, String> {
        texts.iter().map(|text| self.0.read(std::slice::from_ref(text))).collect()
    }

    fn allowed(&self) -> String {
        format!("a list, each {}", self.0.allowed())
    }

    fn is_list(&self) -> bool {
        true
    }
}

fn one(texts: &[String]) -> Result<&String, String> {
    match texts {
        [text] => Ok(text),
        [] => Err("nothing is given".to_owned()),
        _ => Err(format!("{} values are given where one is wanted", texts.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReversePath;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn what_is_allowed_is_read_and_everything_else_is_told_why() {
        type Case<'a> = (&'a dyn Check, &'a [&'a str], &'a [&'a [&'a str]]);

        let number = Whole(64_u32..=128);
        let cases: [Case<'_>; 5] = [
            (&Switch, &["true", "false"], &[&["yes"], &["TRUE"], &[""], &[], &["true", "true"]]),
            (&number, &["64", "128"], &[&["63"], &["129"], &["-64"], &["6e1"], &["99999999999999"], &[" 64"]]),
            (&Choice::<ReversePath>::new(), &["off", "loose", "strict"], &[&["Loose"], &["tight"], &[""]]),
            (&Parsed::<std::path::PathBuf>::new("a path"), &["/a", "b"], &[&[""], &["a", "b"]]),
            (&Many(Whole(1_u8..=3)), &["1", "3"], &[&["1", "4"], &["0"]]),
        ];
        for (kind, good, bad) in cases {
            for text in good {
                assert_eq!(kind.check(&texts(&[text])), Ok(()), "{text}");
            }
            for wrong in bad {
                assert!(!kind.check(&texts(wrong)).unwrap_err().is_empty(), "{wrong:?}");
            }
        }
        assert_eq!(Maybe(Switch).read(&[]), Ok(None));
        assert_eq!(Many(Switch).read(&texts(&["true", "false"])), Ok(vec![true, false]));
        let allowed = |kind: &dyn Check| kind.allowed();
        assert_eq!(allowed(&Choice::<ReversePath>::new()), "one of off, loose, strict");
        assert_eq!(allowed(&Many(number)), "a list, each a whole number from 64 to 128");
    }
}
