//! The types that fields of a profile's records may have.

use std::collections::BTreeMap;

use serde_json::Value;

use super::FlawAt;
use super::files::HEAD_FOLDER;
use crate::values::formats::{Formats, Spelled};
use crate::values::json::MOST_PRECISION;
use crate::values::time::Resolution;

/// The `connect.name` of a string that holds JSON text; sinks know it.
const JSON_NAME: &str = "io.debezium.data.Json";
/// That of a UUID; with it sinks make columns of the database's own type.
const UUID_NAME: &str = "io.debezium.data.Uuid";

/// What an error says of a type that is none of these.
const TAKEN: &str = "boolean, int, long, float, double, string, bytes; string with uuid or with connect.name \
    io.debezium.data.Json; bytes with decimal; int with date or time-millis; long with timestamp-millis, timestamp-micros or \
    time-micros; enum with a default; record; array and map of these; [\"null\", X]";

/// The type of a field, nullability aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    String,
    Bytes,
    Decimal(DecimalSize),
    Uuid,
    /// In spellings of its own, if it has some.
    Timestamp(Resolution, Option<Formats>),
    Date(Option<Formats>),
    TimeOfDay(Resolution, Option<Formats>),
    Json,
    /// By full name.
    Enum(String),
    /// By full name.
    Record(String),
    Array(Box<Type>),
    Map(Box<Type>),
    /// What is in an array or a map, and may be null.
    Nullable(Box<Type>),
}

/// How many digits a decimal has, and how many of them behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecimalSize {
    pub(crate) precision: u32,
    pub(crate) scale: u32,
}

impl Type {
    /// The record it is, or is an array or map of.
    pub(super) fn named(&self) -> Option<&str> {
        match self {
            Type::Record(name) => Some(name),
            Type::Array(inner) | Type::Map(inner) | Type::Nullable(inner) => inner.named(),
            _ => None,
        }
    }

    /// Whether it is the head that the bridge writes, alone or in an array.
    pub(super) fn is_head(&self) -> bool {
        self.named().is_some_and(|name| name.starts_with(&format!("{HEAD_FOLDER}.")))
    }

    /// What is in each of an array's items; of any other type the type itself.
    pub(super) fn item(&self) -> &Type {
        match self {
            Type::Array(inner) | Type::Nullable(inner) => inner.item(),
            other => other,
        }
    }

    /// A name that stands for a record may stand for an enum.
    pub(super) fn name_enums(&mut self, is_enum: &impl Fn(&str) -> bool) {
        match self {
            Type::Record(name) if is_enum(name) => *self = Type::Enum(std::mem::take(name)),
            Type::Array(inner) | Type::Map(inner) | Type::Nullable(inner) => inner.name_enums(is_enum),
            _ => {}
        }
    }

    /// The word for it in an error sentence.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Type::Boolean => "boolean",
            Type::Int | Type::Long => "whole number",
            Type::Float | Type::Double => "number",
            Type::Decimal(_) => "decimal",
            Type::String => "text",
            Type::Bytes => "bytes",
            Type::Uuid => "UUID",
            Type::Timestamp(..) => "instant",
            Type::Date(_) => "date",
            Type::TimeOfDay(..) => "time of day",
            Type::Json => "JSON",
            Type::Enum(_) => "enum",
            Type::Record(_) => "object",
            Type::Array(_) => "array",
            Type::Map(_) => "map",
            Type::Nullable(inner) => inner.word(),
        }
    }
}

/// Reads the type of a field.
pub(super) fn read_type(namespace: &str, ty: &Value) -> Result<Type, FlawAt> {
    let attribute = |name: &str| ty.get(name).and_then(Value::as_str);
    let name = ty.as_str().or_else(|| attribute("type"));
    let of = |inner: &str| read_inner(namespace, &ty[inner], inner).map(Box::new);
    let formats = |spelled| read_formats(ty, spelled);
    let (millis, micros) = (Resolution::Millis, Resolution::Micros);
    let found = match (name, attribute("logicalType"), attribute("connect.name")) {
        (Some("string"), None, Some(JSON_NAME)) => Type::Json,
        (Some("string"), Some("uuid"), None | Some(UUID_NAME)) => Type::Uuid,
        (Some("string"), None, None) => Type::String,
        (Some("long"), Some("timestamp-millis"), None) => Type::Timestamp(millis, formats(Spelled::Instant)?),
        (Some("long"), Some("timestamp-micros"), None) => Type::Timestamp(micros, formats(Spelled::Instant)?),
        (Some("long"), Some("time-micros"), None) => Type::TimeOfDay(micros, formats(Spelled::TimeOfDay)?),
        (Some("long"), None, None) => Type::Long,
        (Some("int"), Some("date"), None) => Type::Date(formats(Spelled::Date)?),
        (Some("int"), Some("time-millis"), None) => Type::TimeOfDay(millis, formats(Spelled::TimeOfDay)?),
        (Some("int"), None, None) => Type::Int,
        (Some("double"), None, None) => Type::Double,
        (Some("float"), None, None) => Type::Float,
        (Some("boolean"), None, None) => Type::Boolean,
        (Some("bytes"), Some("decimal"), None) => Type::Decimal(read_decimal(ty)?),
        (Some("bytes"), None, None) => Type::Bytes,
        (Some("array"), None, None) => Type::Array(of("items")?),
        (Some("map"), None, None) => Type::Map(of("values")?),
        (Some(name), None, None) if ty.is_string() && !is_reserved(name) => Type::Record(full_name(namespace, name)),
        _ => {
            let what = format!("the catalog does not support this type: {ty}; expected one of: {TAKEN}");
            return Err(FlawAt::new("", what));
        }
    };
    let has_formats = matches!(&found, Type::Timestamp(..) | Type::Date(_) | Type::TimeOfDay(..));
    if ty.get("format").is_some() && !has_formats {
        return Err(FlawAt::new("/format", "expected it with an instant, a date or a time of day only"));
    }
    Ok(found)
}

/// What is in an array or map: a type, or null and a type.
fn read_inner(namespace: &str, ty: &Value, place: &str) -> Result<Type, FlawAt> {
    let place = format!("/{place}");
    match ty.as_array().map(Vec::as_slice) {
        None => read_type(namespace, ty).map_err(|flaw| flaw.within(&place)),
        Some([Value::String(null), branch]) if null == "null" => {
            let inner = read_type(namespace, branch).map_err(|flaw| flaw.within(&format!("{place}/1")))?;
            Ok(Type::Nullable(Box::new(inner)))
        }
        Some(_) => Err(FlawAt::new(place, "the only supported union is [\"null\", X]")),
    }
}

/// The attribute `format`: one or several.
fn read_formats(ty: &Value, spelled: Spelled) -> Result<Option<Formats>, FlawAt> {
    let texts: Vec<&str> = match ty.get("format") {
        None => return Ok(None),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => texts.iter().map_while(Value::as_str).collect(),
        Some(_) => Vec::new(),
    };
    let count = ty["format"].as_array().map_or(1, Vec::len);
    if texts.is_empty() || texts.len() < count {
        return Err(FlawAt::new("/format", "expected a format such as \"%d/%m/%Y %H:%M:%S\", or a list of them"));
    }
    Formats::new(&texts, spelled).map(Some).map_err(|error| FlawAt::new("/format", error.to_string()))
}

fn read_decimal(ty: &Value) -> Result<DecimalSize, FlawAt> {
    let number = |name: &str| ty.get(name).map(|value| value.as_u64().and_then(|number| u32::try_from(number).ok()));
    let precision = number("precision").flatten().filter(|precision| (1..=MOST_PRECISION).contains(precision));
    let precision = precision
        .ok_or_else(|| FlawAt::new("/precision", format!("expected the number of digits, 1 to {MOST_PRECISION}")))?;
    let scale = number("scale").unwrap_or(Some(0)).filter(|scale| *scale <= precision);
    let scale = scale
        .ok_or_else(|| FlawAt::new("/scale", "expected the number of digits behind the point, at most `precision`"))?;
    Ok(DecimalSize { precision, scale })
}

fn is_reserved(name: &str) -> bool {
    ["null", "array", "map", "enum", "fixed", "record"].contains(&name)
}

fn full_name(namespace: &str, name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("{namespace}.{name}") }
}

/// An enum as its definition has it.
#[derive(Clone, Debug)]
pub(super) struct EnumSchema {
    /// With every attribute.
    pub(super) json: Value,
    pub(super) symbols: EnumSymbols,
}

/// What spellings mean which symbol of an enum.
#[derive(Clone, Debug)]
pub(crate) struct EnumSymbols {
    /// By what senders write.
    spellings: BTreeMap<String, i32>,
    default: i32,
}

impl EnumSymbols {
    /// The symbol that `spelling` means.
    pub(crate) fn index(&self, spelling: &str) -> Option<i32> {
        self.spellings.get(spelling).copied()
    }

    /// The one that stands for what is none of them.
    pub(crate) fn default(&self) -> i32 {
        self.default
    }

    /// What senders write, in order.
    pub(crate) fn spellings(&self) -> impl Iterator<Item = &str> {
        self.spellings.keys().map(String::as_str)
    }
}

/// Reads the definition of an enum.
pub(super) fn read_enum(json: &Value) -> Result<EnumSymbols, FlawAt> {
    let symbols: Vec<&str> = json["symbols"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let index = |symbol: &str| symbols.iter().position(|other| *other == symbol).and_then(|at| i32::try_from(at).ok());
    if symbols.is_empty() {
        return Err(FlawAt::new("/symbols", "expected at least one symbol"));
    }
    let default = json["default"].as_str().and_then(index).ok_or_else(|| {
        let what = "expected one of the symbols: any other value that a sender writes becomes this one, and readers of older versions \
            read new symbols as it";
        FlawAt::new("/default", what)
    })?;
    let mut spellings: BTreeMap<String, i32> = BTreeMap::new();
    let written = json["json"].as_object();
    for (spelling, symbol) in written.into_iter().flatten() {
        let place = || format!("/json/{}", spelling.replace('~', "~0").replace('/', "~1"));
        let Some(at) = symbol.as_str().and_then(index) else {
            return Err(FlawAt::new(place(), format!("expected one of the symbols, got {symbol}")));
        };
        if spellings.values().any(|other| *other == at) {
            return Err(FlawAt::new(place(), format!("{symbol} has a spelling already: two would be one to readers")));
        }
        spellings.insert(spelling.clone(), at);
    }
    for (at, symbol) in symbols.iter().enumerate() {
        let at = at as i32;
        if !spellings.values().any(|other| *other == at) && spellings.insert((*symbol).to_owned(), at).is_some() {
            return Err(FlawAt::new("/json", format!("{symbol} is a symbol, and the spelling of another one")));
        }
    }
    Ok(EnumSymbols { spellings, default })
}
