//! Kubernetes objects as JSON and YAML have them, as far as they are read.
//!
//! One reader for both: what cannot be read is told by field. Lists and maps may be `null`, which is how Go writes those
//! that are empty.

mod bandwidth;
mod metadata;
mod node;
mod pod;
mod prefixes;

use serde::{Deserialize, Deserializer};

use self::metadata::Metadata;
pub use self::metadata::{Header, Named, nullable};
use crate::model::{Body, Kind, Name, Names, Object};

/// An object that can be read.
trait Read<'de>: Deserialize<'de> {
    /// What is read of its annotations.
    type Annotations;

    /// What it says about itself.
    fn metadata(&self) -> &Metadata<Self::Annotations>;

    /// What it says, as the model has it.
    fn body(self, names: &mut Names) -> Body;
}

/// Reads an object of a kind.
pub fn read<'de, D: Deserializer<'de>>(kind: Kind, from: D, names: &mut Names) -> Result<Object, D::Error> {
    match kind {
        Kind::Node => object::<node::Node, D>(kind, from, names),
        Kind::Namespace => object::<node::Namespace, D>(kind, from, names),
        Kind::Pod => object::<pod::Pod, D>(kind, from, names),
    }
}

fn object<'de, T: Read<'de>, D: Deserializer<'de>>(
    kind: Kind,
    from: D,
    names: &mut Names,
) -> Result<Object, D::Error> {
    let object = T::deserialize(from)?;
    let name = object.metadata().name(kind, names);
    Ok(Object { name, body: object.body(names) })
}

/// Reads an object of a kind out of JSON; the error names the field.
pub fn read_json(kind: Kind, json: &str, names: &mut Names) -> Result<Object, String> {
    let mut json = serde_json::Deserializer::from_str(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    read(kind, tracked, names).map_err(|error| match track.path().to_string().as_str() {
        "." => without_place(&error.to_string()).to_owned(),
        path => format!("{path}: {}", without_place(&error.to_string())),
    })
}

/// The name of an object of which nothing else can be read.
pub fn name_json(kind: Kind, json: &str) -> Option<Name> {
    serde_json::from_str(json).ok().map(|named: Named| named.metadata.name(kind, &mut Names::default()))
}

/// Parsers count lines and columns from the beginning of what they were given, which helps nobody.
pub fn without_place(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(what, _)| what)
}
