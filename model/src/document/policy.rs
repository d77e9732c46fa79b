//! Policies, in the four ways in which they may be written.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// A policy: IAM or Cedar, in the document or in a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Policy {
    /// An IAM policy, written as an object.
    Object(Map<String, Value>),
    /// An IAM policy as JSON text.
    Text(String),
    /// Path of a file: Cedar when it ends in `.cedar`, otherwise IAM JSON.
    File(String),
    /// Native Cedar text.
    Cedar(String),
}

impl JsonSchema for Policy {
    fn schema_name() -> Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A policy: an IAM policy written as an object or as JSON text; Trellis: or `{file: path}` (Cedar when the path \
                            ends in `.cedar`, otherwise IAM JSON), or `{cedar: text}` with native Cedar.",
            "anyOf": [
                {"type": "string", "description": "An IAM policy as JSON text."},
                {
                    "type": "object", "required": ["file"], "additionalProperties": false,
                    "properties": {"file": {
                        "type": "string",
                        "description": "Trellis: path of a file; Cedar when it ends in `.cedar`, otherwise IAM JSON."
                    }}
                },
                {
                    "type": "object", "required": ["cedar"], "additionalProperties": false,
                    "properties": {"cedar": {"type": "string", "description": "Trellis: native Cedar policies."}}
                },
                {
                    "type": "object", "required": ["Statement"],
                    "description": "An IAM policy.",
                    "properties": {
                        "Version": {"type": "string"},
                        "Id": {"type": "string"},
                        "Statement": {"type": ["object", "array"]}
                    }
                }
            ]
        })
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Json)? {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Object(object) => Self::from_object(object).map_err(D::Error::custom),
            _ => Err(D::Error::custom("a policy is an object or a text")),
        }
    }
}

impl Policy {
    /// Tells the forms that are objects apart. The error says what is wrong.
    pub(crate) fn from_object(mut object: Map<String, Value>) -> Result<Self, &'static str> {
        for (member, make) in [
            ("file", Self::File as fn(String) -> Self),
            ("cedar", Self::Cedar),
        ] {
            if let Some(value) = object.remove(member) {
                return match value {
                    Value::String(text) if object.is_empty() => Ok(make(text)),
                    Value::String(_) => Err("`file` or `cedar` stands alone in a policy"),
                    _ => Err("`file` and `cedar` are texts"),
                };
            }
        }
        if object.contains_key("Statement") {
            Ok(Self::Object(object))
        } else {
            Err("not a policy: it has no `Statement`")
        }
    }
}

/// Reads any JSON value and refuses objects in which a key appears twice.
#[derive(Clone, Copy)]
struct Json;

impl<'de> DeserializeSeed<'de> for Json {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy: an object or a text")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number without a value"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
