//! How single values are written: `"5s"`, `"16 MiB"`, secrets, one or many; and what a JSON Schema says of them.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::values::amount::grouped;
use crate::values::secret::Secret;

/// What may stand in any value: `${VAR}` and `${file:/path}`.
const REFERENCE: &str = r"\$\{";

/// A value that TOML or the environment has as text.
pub(super) trait Scalar: Sized {
    /// What a text has to be.
    fn expected() -> Cow<'static, str>;
    /// `None` if it is something else.
    fn parse(text: &str) -> Option<Self>;
    /// What a JSON Schema says of it, a `${…}` aside.
    fn schema() -> Schema;
}

impl Scalar for String {
    fn expected() -> Cow<'static, str> {
        "a string in quotes".into()
    }
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
    fn schema() -> Schema {
        json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}

impl Scalar for Secret {
    fn expected() -> Cow<'static, str> {
        String::expected()
    }
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn schema() -> Schema {
        String::schema()
    }
}

impl Scalar for bool {
    fn expected() -> Cow<'static, str> {
        "true or false".into()
    }
    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
    fn schema() -> Schema {
        json_schema!({ "enum": [true, false, "true", "false"] })
    }
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug)]
pub(super) struct WholeNumber<const LEAST: i32, const MOST: i32>(pub(super) i32);

impl<const LEAST: i32, const MOST: i32> Scalar for WholeNumber<LEAST, MOST> {
    fn expected() -> Cow<'static, str> {
        format!("a whole number from {} to {}", grouped(&LEAST.to_string()), grouped(&MOST.to_string())).into()
    }
    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|number| (LEAST..=MOST).contains(number)).map(WholeNumber)
    }
    fn schema() -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": LEAST, "maximum": MOST },
            { "type": "string", "pattern": r"^\s*[+-]?[0-9]+\s*$" },
        ] })
    }
}

/// One of several words.
pub(super) trait Words: Copy + 'static {
    /// The first is the default.
    const WORDS: &'static [(&'static str, Self)];
}

/// A word that is one of several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<T>(pub(super) T);

impl<T: Words> Default for Choice<T> {
    fn default() -> Self {
        Choice(T::WORDS[0].1)
    }
}

impl<T: Words> Scalar for Choice<T> {
    fn expected() -> Cow<'static, str> {
        let words: Vec<String> = T::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
        match &words[..] {
            [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")).into(),
            _ => words.concat().into(),
        }
    }
    fn parse(text: &str) -> Option<Self> {
        T::WORDS.iter().find(|(word, _)| *word == text).map(|&(_, choice)| Choice(choice))
    }
    fn schema() -> Schema {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({ "enum": words })
    }
}

/// A scalar, taken from its text whatever TOML calls it: the environment and `${VAR}` only have strings to give.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: Scalar> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfScalar<T>(PhantomData<T>);
        impl<T: Scalar> Visitor<'_> for OfScalar<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&T::expected())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
                T::parse(text).ok_or_else(|| E::custom(format_args!("expected {}", T::expected())))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_bool<E: de::Error>(self, word: bool) -> Result<T, E> {
                self.visit_str(if word { "true" } else { "false" })
            }
        }
        deserializer.deserialize_any(OfScalar(PhantomData)).map(Text)
    }
}

impl<T: Scalar> JsonSchema for Text<T> {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let schema = T::schema();
        // A schema that takes every string takes a reference, too.
        if schema.get("type").is_some() {
            return schema;
        }
        json_schema!({ "anyOf": [schema, { "type": "string", "pattern": REFERENCE }] })
    }
}

/// An item of a list.
struct Quoted(Secret);

impl<'de> Deserialize<'de> for Quoted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneItem;
        impl Visitor<'_> for OneItem {
            type Value = Quoted;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string in quotes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quoted, E> {
                let Ok(secret) = text.parse();
                Ok(Quoted(secret))
            }
        }
        deserializer.deserialize_any(OneItem)
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
                f.write_str("a string in quotes, or a list of them")
            }
            fn visit_str<E: de::Error>(self, one: &str) -> Result<OneOrMany, E> {
                let Ok(one) = one.parse();
                Ok(OneOrMany(vec![one]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(Quoted(one)) = list.next_element()? {
                    many.push(one);
                }
                Ok(OneOrMany(many))
            }
        }
        deserializer.deserialize_any(List)
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// A switch (`true`, `false`, or another word), or names, in a list or separated by commas.
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
                f.write_str("true, false, \"all\" or a list of names")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<SwitchOrNames, E> {
                if word.contains(',') {
                    return Ok(SwitchOrNames::Names(word.split(',').map(|name| name.trim().to_owned()).collect()));
                }
                Ok(SwitchOrNames::Word(word.trim().to_owned()))
            }
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<SwitchOrNames, E> {
                Ok(SwitchOrNames::Word(on.to_string()))
            }
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

impl JsonSchema for SwitchOrNames {
    fn schema_name() -> Cow<'static, str> {
        "SwitchOrNames".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": ["boolean", "string"] },
            { "type": "array", "items": { "type": "string" } },
        ] })
    }
}

/// `5s`, `1m 30s`, `250ms`, or a bare number of seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period(pub(super) Duration);

impl Scalar for Period {
    fn expected() -> Cow<'static, str> {
        "a duration such as \"5s\", \"1m 30s\" or \"250ms\"".into()
    }
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(seconds) = text.parse::<u32>() {
            return Some(Period(Duration::from_secs(seconds.into())));
        }
        humantime::parse_duration(text).map(Period).ok()
    }
    fn schema() -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": r"^\s*([0-9]+\s*[a-zA-Zµ]+\s*)+$|^\s*[0-9]+\s*$" },
        ] })
    }
}

/// `16 MiB`, `256KiB`, `1 MB`, or a bare number of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes(pub(super) usize);

impl Scalar for Bytes {
    fn expected() -> Cow<'static, str> {
        "a size such as \"16 MiB\" (units: B, kB, KiB, MB, MiB, GB, GiB, TB, TiB)".into()
    }
    fn parse(text: &str) -> Option<Self> {
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
            _ => return None,
        };
        number.parse::<usize>().ok()?.checked_mul(factor).map(Bytes)
    }
    fn schema() -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": r"^\s*[0-9]+\s*([kKmMgGtT][iI]?)?[bB]?\s*$" },
        ] })
    }
}

/// A table of properties, whose names may have dots, with quotes or without.
pub(super) fn properties(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": ["string", "integer", "number", "boolean", "object"] },
    })
}

/// The one key that may be a fraction.
pub(super) fn fractions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "number", "minimum": 0, "maximum": 1 }, { "type": "string" }] })
}

/// The name of a source is part of a path.
pub(super) fn names_of_sources(schema: &mut Schema) {
    schema.insert("propertyNames".to_owned(), serde_json::json!({ "pattern": "^[a-z0-9_-]{1,64}$" }));
}
