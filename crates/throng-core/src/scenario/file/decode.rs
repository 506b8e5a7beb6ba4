//! Decodes a [tree](super::tree) into types, by serde. Errors in keys and values have their place.

use super::error::Wrong;
use super::place::Place;
use super::tree::{Key, Node, Value};
use crate::payload::Message;
use crate::payload::written::{MESSAGE, Stored};
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use std::io;

/// A value to decode. A list of one item may be written without brackets, and a section without keys as its name.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'a> {
    pub node: &'a Node,
    /// Reads the files that messages are in.
    pub files: &'a dyn Fn(&str) -> io::Result<Vec<u8>>,
}

impl<'a> Decoder<'a> {
    fn of(self, node: &'a Node) -> Decoder<'a> {
        Decoder { node, ..self }
    }

    /// The text of a value. In a `--set`, text has no quotes, so what looks like a number may be a text.
    fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Integer(_, text) | Value::Float(_, text)
                if matches!(self.node.place, Place::Set(_)) =>
            {
                Some(text)
            }
            _ => None,
        }
    }

    fn message(self) -> Result<Message, Wrong> {
        match self.text() {
            Some(text) => Message::from_text(text, self.files).map_err(Wrong::custom),
            None => {
                let stored = Stored::deserialize(self)?;
                stored.message(self.files).map_err(Wrong::custom)
            }
        }
    }
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Integer(n, _) => visitor.visit_i64(*n),
            Value::Float(n, _) => visitor.visit_f64(*n),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::List(list) => visitor.visit_seq(List {
                decoder: self,
                rest: list.iter(),
            }),
            Value::Table(entries) => visitor.visit_map(Table {
                decoder: self,
                rest: entries.iter(),
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.text() {
            Some(text) => visitor.visit_str(text),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::List(_) => self.deserialize_any(visitor),
            _ => visitor.visit_seq(List {
                decoder: self,
                rest: std::slice::from_ref(self.node).iter(),
            }),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        if name != MESSAGE {
            return visitor.visit_newtype_struct(self);
        }
        // From here on the message contains what was read from files.
        match self.message()?.written() {
            Some(text) => visitor.visit_str(&text),
            None => Err(Wrong::custom("it can't be sent as a message")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_enum(Variant {
                decoder: self,
                name: text,
                content: None,
            }),
            Value::Table(entries) => match entries.as_slice() {
                [(Key { name, .. }, content)] => visitor.visit_enum(Variant {
                    decoder: self,
                    name,
                    content: Some(content),
                }),
                _ => Err(Wrong::custom(format!(
                    "one key is needed, not {}",
                    entries.len()
                ))),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct map struct identifier ignored_any
    }
}

struct List<'a> {
    decoder: Decoder<'a>,
    rest: std::slice::Iter<'a, Node>,
}

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        let Some(node) = self.rest.next() else {
            return Ok(None);
        };
        let value = seed.deserialize(self.decoder.of(node));
        value.map(Some).map_err(|e| e.at(node.place))
    }
}

struct Table<'a> {
    decoder: Decoder<'a>,
    rest: std::slice::Iter<'a, (Key, Node)>,
    /// The entry whose key was read last.
    value: Option<&'a (Key, Node)>,
}

impl<'de> MapAccess<'de> for Table<'_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        self.value = self.rest.next();
        let Some((key, _)) = self.value else {
            return Ok(None);
        };
        let name: StrDeserializer<Wrong> = key.name.as_str().into_deserializer();
        let key = seed.deserialize(name).map_err(|e| e.at(key.place));
        key.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let Some((key, node)) = self.value.take() else {
            return Err(Wrong::custom("a value without a key"));
        };
        let value = seed.deserialize(self.decoder.of(node));
        value.map_err(|e| e.at(node.place).within(&key.name))
    }
}

struct Variant<'a> {
    decoder: Decoder<'a>,
    name: &'a str,
    content: Option<&'a Node>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Wrong;
    type Variant = Variant<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Variant<'a>), Wrong> {
        let name: StrDeserializer<Wrong> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Wrong::custom(format!("'{}' has no keys", self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        let empty = Node {
            place: self.decoder.node.place,
            value: Value::Table(Vec::new()),
        };
        let content = self.content.unwrap_or(&empty);
        let decoder = Decoder {
            node: content,
            files: self.decoder.files,
        };
        let value = seed.deserialize(decoder);
        value.map_err(|e| e.at(content.place).within(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        Err(de::Error::invalid_type(Unexpected::TupleVariant, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        Err(de::Error::invalid_type(Unexpected::StructVariant, &visitor))
    }
}
