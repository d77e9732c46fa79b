//! The JSON Schema of configuration files, and the reference page made from it.
//!
//! Both come from the comments and attributes of [`crate::document`], so neither can say anything that the loader does not read. The
//! schema is also what [`crate::load`] checks a document against when something is wrong with it.

mod reference;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

pub use self::reference::reference;
pub(crate) use self::reference::{definition, referred};
use crate::document::Document;

/// The JSON Schema (draft 2020-12) of a configuration file, for editors. What is not part of VPC Lattice has a description that begins
/// with "Trellis:".
pub fn json_schema() -> Value {
    SCHEMA.clone()
}

/// The JSON Schema of another kind of document, in the same manner.
pub fn schema_of<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    simplify(&mut schema);
    schema
}

/// The schema, made once.
pub(crate) static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<Document>);

/// Takes out what says something about Rust rather than about documents: that an absent member may be written as null, defaults that
/// only mean absence, integer formats, line breaks of comments.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(simplify),
        Value::Object(object) => {
            without_null(object);
            object.retain(|keyword, value| match keyword.as_str() {
                // A member of documents of that name has an object here.
                "format" => !value.is_string(),
                "default" => !(value.is_null() || *value == json!([]) || *value == json!({})),
                _ => true,
            });
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            object.values_mut().for_each(simplify);
        }
        _ => {}
    }
}

fn without_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(alternatives)) = object.get("anyOf")
        && let [Value::Object(only), Value::Object(null)] = alternatives.as_slice()
        && null.get("type") == Some(&Value::from("null"))
    {
        let only = only.clone();
        object.remove("anyOf");
        object.extend(only);
    }
}
