//! A file as a tree of values, each with its place.

use super::error::{Problem, Wrong};
use super::place::{Place, Set};
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

/// A value. Numbers keep how they were written.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64, String),
    Float(f64, String),
    Bool(bool),
    List(Vec<Node>),
    Table(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Debug)]
pub(super) struct Key {
    pub name: String,
    pub place: Place,
}

impl Node {
    /// The value behind `key`, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|(k, _)| k.name == key).map(|(_, n)| n),
            _ => None,
        }
    }

    /// A value as the values of an option on a command line: a list has several, and a section has one for each of its keys,
    /// `KEY=VALUES` with commas between. `None` for what has no such form.
    pub fn texts(&self) -> Option<Vec<String>> {
        match &self.value {
            Value::List(nodes) => nodes.iter().map(Node::plain).collect(),
            Value::Table(entries) => {
                let of = |(key, node): &(Key, Node)| {
                    let values = node.texts()?.join(",");
                    (!matches!(node.value, Value::Table(_)))
                        .then(|| format!("{}={values}", key.name))
                };
                entries.iter().map(of).collect()
            }
            _ => self.plain().map(|text| vec![text]),
        }
    }

    fn plain(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Integer(_, text) | Value::Float(_, text) => {
                Some(text.clone())
            }
            Value::Bool(b) => Some(b.to_string()),
            Value::List(_) | Value::Table(_) => None,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Text(text) => write!(f, "'{}'", text.escape_debug()),
            Value::Integer(_, text) | Value::Float(_, text) => f.write_str(text),
            Value::Bool(b) => b.fmt(f),
            Value::List(_) => f.write_str("a list"),
            Value::Table(_) => f.write_str("a section"),
        }
    }
}

/// Reads a file's text.
pub(super) fn parse(text: &str) -> Result<Node, Wrong> {
    let table = DeTable::parse(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        let what = e.message().replace('\n', "; ");
        Wrong::from(Problem::Syntax(what)).at(Place::File(at))
    })?;
    let place = Place::File(0);
    Ok(Node {
        place,
        value: table_value(table.into_inner(), None)?,
    })
}

fn table_value(table: DeTable, set: Option<Place>) -> Result<Value, Wrong> {
    let entries = table.into_iter().map(|(key, value)| {
        let key = Key {
            place: set.unwrap_or(Place::File(key.span().start)),
            name: key.into_inner().into_owned(),
        };
        Ok((key, node(value, set)?))
    });
    Ok(Value::Table(entries.collect::<Result<_, Wrong>>()?))
}

/// A value with its place, which is `set` if that is given.
fn node(value: Spanned<DeValue>, set: Option<Place>) -> Result<Node, Wrong> {
    let place = set.unwrap_or(Place::File(value.span().start));
    let too_large = |text: &str| {
        let what = format!("{text} is too large a number");
        Wrong::from(Problem::Syntax(what)).at(place)
    };
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            let text = number.as_str();
            match i64::from_str_radix(text, number.radix()) {
                Ok(n) => Value::Integer(n, text.to_owned()),
                Err(_) => return Err(too_large(text)),
            }
        }
        DeValue::Float(number) => {
            let text = number.as_str();
            match text.parse() {
                Ok(n) => Value::Float(n, text.to_owned()),
                Err(_) => return Err(too_large(text)),
            }
        }
        DeValue::Boolean(b) => Value::Bool(b),
        // No key has a date as its value. As a text it is refused by its key.
        DeValue::Datetime(date) => Value::Text(date.to_string()),
        DeValue::Array(list) => {
            let nodes = list.into_iter().map(|value| node(value, set));
            Value::List(nodes.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => table_value(table, set)?,
    };
    Ok(Node { place, value })
}

/// Puts the values of `sets` in their places, one after the other.
pub(super) fn set(mut root: Node, sets: &[Set]) -> Result<Node, Wrong> {
    for (index, set) in sets.iter().enumerate() {
        let place = Place::Set(index);
        let value = match DeValue::parse(&set.value) {
            Ok(value) if !matches!(value.get_ref(), DeValue::Datetime(_)) => {
                node(value, Some(place))?
            }
            _ => Node {
                place,
                value: Value::Text(set.value.clone()),
            },
        };
        put(&mut root, &set.path, value)?;
    }
    Ok(root)
}

fn put(at: &mut Node, path: &[String], new: Node) -> Result<(), Wrong> {
    let Some((name, rest)) = path.split_first() else {
        *at = new;
        return Ok(());
    };
    let place = new.place;
    // A section without keys may be written as its name.
    if matches!(&at.value, Value::Text(text) if text == name) {
        at.value = Value::Table(Vec::new());
    }
    let Value::Table(entries) = &mut at.value else {
        let what = format!("'{name}' is below a value that has no keys");
        return Err(Wrong::from(Problem::Syntax(what)).at(place));
    };
    let index = match entries.iter().position(|(key, _)| key.name == *name) {
        Some(index) => index,
        None => {
            let key = Key {
                name: name.clone(),
                place,
            };
            let value = Value::Table(Vec::new());
            entries.push((key, Node { place, value }));
            entries.len() - 1
        }
    };
    put(&mut entries[index].1, rest, new)
}
