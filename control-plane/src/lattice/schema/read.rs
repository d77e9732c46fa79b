//! Reading the model.

use std::collections::{BTreeMap, HashMap};

use http::{Method, StatusCode};
use serde::Deserialize;

use super::{Api, Bounds, Location, Member, Operation, Pattern, Segment, Shape, ShapeIndex};

#[derive(Deserialize)]
struct Written {
    operations: BTreeMap<String, WrittenOperation>,
    shapes: BTreeMap<String, WrittenShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenOperation {
    method: String,
    uri: String,
    code: u16,
    input_shape: String,
    output_shape: Option<String>,
    #[cfg(test)]
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct WrittenShape {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    members: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    union: bool,
    min: Option<i64>,
    max: Option<i64>,
    pattern: Option<String>,
    #[serde(default, rename = "enum")]
    values: Vec<String>,
    member: Option<String>,
    key: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
struct WrittenMember {
    shape: String,
    #[serde(default)]
    required: bool,
    #[serde(rename = "in")]
    location: Option<String>,
}

/// Reads the model, or says what is wrong with it.
pub(super) fn read(text: &str) -> Result<Api, String> {
    let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let by_name: HashMap<String, ShapeIndex> = written
        .shapes
        .keys()
        .enumerate()
        .map(|(position, name)| (name.clone(), ShapeIndex(position)))
        .collect();
    let index = |name: &str| {
        by_name
            .get(name)
            .copied()
            .ok_or_else(|| format!("no shape is called `{name}`"))
    };
    let shapes = written
        .shapes
        .iter()
        .map(|(name, shape)| read_shape(shape, &index).map_err(|error| format!("{name}: {error}")));
    let mut shapes: Vec<Shape> = shapes.collect::<Result<_, _>>()?;
    // Some operations answer with nothing.
    let nothing = ShapeIndex(shapes.len());
    shapes.push(Shape::Structure {
        members: Vec::new(),
        union: false,
    });
    let operations = written.operations.into_iter().map(|(name, operation)| {
        let input = index(&operation.input_shape)?;
        let output = operation
            .output_shape
            .as_deref()
            .map_or(Ok(nothing), index)?;
        Ok(Operation {
            method: Method::from_bytes(operation.method.as_bytes())
                .map_err(|error| format!("{name}: {error}"))?,
            path: segments(&operation.uri),
            status: StatusCode::from_u16(operation.code)
                .map_err(|error| format!("{name}: {error}"))?,
            input,
            output,
            #[cfg(test)]
            errors: operation.errors,
            name,
        })
    });
    Ok(Api {
        operations: operations.collect::<Result<_, String>>()?,
        shapes,
    })
}

fn segments(uri: &str) -> Vec<Segment> {
    let parts = uri.trim_start_matches('/').split('/');
    parts
        .map(|part| {
            let label = part
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            label.map_or_else(
                || Segment::Text(part.to_owned()),
                |label| Segment::Label(label.to_owned()),
            )
        })
        .collect()
}

fn read_shape(
    written: &WrittenShape,
    index: &impl Fn(&str) -> Result<ShapeIndex, String>,
) -> Result<Shape, String> {
    let bounds = Bounds {
        least: written.min,
        most: written.max,
    };
    let of = |name: &Option<String>| index(name.as_deref().unwrap_or_default());
    Ok(match written.kind.as_str() {
        "structure" => {
            let members = written.members.iter().map(|(name, member)| {
                let member = WrittenMember::deserialize(member).map_err(|e| e.to_string())?;
                read_member(name, &member, index)
            });
            Shape::Structure {
                members: members.collect::<Result<_, String>>()?,
                union: written.union,
            }
        }
        "list" => Shape::List {
            member: of(&written.member)?,
            lengths: bounds,
        },
        "map" => Shape::Map {
            key: of(&written.key)?,
            value: of(&written.value)?,
            lengths: bounds,
        },
        "string" => Shape::Text {
            lengths: bounds,
            pattern: written.pattern.as_deref().map(Pattern::new),
            values: written.values.clone(),
        },
        "integer" | "long" => Shape::Integer(bounds),
        "boolean" => Shape::Boolean,
        "timestamp" => Shape::Timestamp,
        other => return Err(format!("shapes of type `{other}` are not known here")),
    })
}

fn read_member(
    name: &str,
    written: &WrittenMember,
    index: &impl Fn(&str) -> Result<ShapeIndex, String>,
) -> Result<Member, String> {
    let location = match written.location.as_deref() {
        None => Location::Body,
        Some("uri") => Location::Path,
        Some("querystring") => Location::Query,
        Some("header") => Location::Header,
        Some(other) => return Err(format!("`{name}` stands in `{other}`")),
    };
    Ok(Member {
        name: name.to_owned(),
        shape: index(&written.shape)?,
        required: written.required,
        location,
    })
}
