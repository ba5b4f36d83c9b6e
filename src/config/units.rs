//! How single values are written: `"5s"`, `"16 MiB"`, secrets, one or many.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::values::secret::Secret;

/// Visitor methods that refuse without serde's own message, which repeats the value: it may be a secret.
macro_rules! refuse {
    ($($method:ident: $ty:ty),*) => {$(
        fn $method<E: de::Error>(self, _: $ty) -> Result<Self::Value, E> {
            Err(E::custom("expected a string in quotes"))
        }
    )*};
}

/// A scalar, taken from its text whatever TOML calls it: the environment and `${VAR}` only have strings to give.
#[derive(Clone, Debug)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar<T>(PhantomData<T>);
        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Scalar<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
                text.parse().map_err(|e: T::Err| E::custom(e))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_bool<E: de::Error>(self, word: bool) -> Result<T, E> {
                self.visit_str(if word { "true" } else { "false" })
            }
            refuse!(visit_f64: f64, visit_u64: u64, visit_i128: i128, visit_u128: u128);
        }
        deserializer.deserialize_any(Scalar(PhantomData)).map(Text)
    }
}

/// One string, or a list of them.
#[derive(Default)]
pub(super) struct OneOrMany(pub(super) Vec<Secret>);

impl fmt::Debug for OneOrMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} hidden]", self.0.len())
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_str<E: de::Error>(self, one: &str) -> Result<OneOrMany, E> {
                let Ok(one) = one.parse();
                Ok(OneOrMany(vec![one]))
            }
            refuse!(visit_bool: bool, visit_i64: i64, visit_f64: f64, visit_u64: u64, visit_i128: i128, visit_u128: u128);
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(OneOrMany(one)) = list.next_element()? {
                    many.extend(one);
                }
                Ok(OneOrMany(many))
            }
        }
        deserializer.deserialize_any(List)
    }
}

/// A switch (`true`, `false`, or another word), or a list of names.
#[derive(Debug)]
pub(super) enum SwitchOrNames {
    Word(String),
    Names(Vec<String>),
}

impl<'de> Deserialize<'de> for SwitchOrNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = SwitchOrNames;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a word or a list of names")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<SwitchOrNames, E> {
                Ok(SwitchOrNames::Word(word.to_owned()))
            }
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<SwitchOrNames, E> {
                Ok(SwitchOrNames::Word(on.to_string()))
            }
            refuse!(visit_i64: i64, visit_f64: f64, visit_u64: u64, visit_i128: i128, visit_u128: u128);
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<SwitchOrNames, A::Error> {
                let mut names = Vec::new();
                while let Some(Text(name)) = list.next_element()? {
                    names.push(name);
                }
                Ok(SwitchOrNames::Names(names))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Why a text is not what its key takes.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnitError {
    #[error("expected a duration such as \"5s\": {0}")]
    Period(humantime::DurationError),
    #[error("expected a size such as \"16 MiB\"")]
    Bytes,
    #[error("too large")]
    TooLarge,
}

/// `5s`, `1m 30s`, `250ms`, or a bare number of seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period(pub(super) Duration);

impl FromStr for Period {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        if let Ok(seconds) = text.trim().parse::<u32>() {
            return Ok(Period(Duration::from_secs(seconds.into())));
        }
        humantime::parse_duration(text).map(Period).map_err(UnitError::Period)
    }
}

/// `16 MiB`, `256KiB`, `1 MB`, or a bare number of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes(pub(super) usize);

impl FromStr for Bytes {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "kib" => 1 << 10,
            "mb" => 1_000_000,
            "mib" => 1 << 20,
            "gb" => 1_000_000_000,
            "gib" => 1 << 30,
            "tb" => 1_000_000_000_000,
            "tib" => 1 << 40,
            _ => return Err(UnitError::Bytes),
        };
        let number = number.parse::<usize>().map_err(|_| UnitError::Bytes)?;
        number.checked_mul(factor).map(Bytes).ok_or(UnitError::TooLarge)
    }
}
