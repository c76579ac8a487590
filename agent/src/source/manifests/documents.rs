//! The documents of a file.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    model::{Kind, Names, Object},
    source::objects::{self, Header, Named, without_place},
};

/// No object is nested so deeply, and the parser takes ever longer the deeper it gets.
const DEEPEST: usize = 100;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Content {
    pub objects: Vec<Object>,
    /// Kinds that are not read, for the log.
    pub passed_over: Vec<String>,
}

/// Why a file was not read.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    line: Option<usize>,
    what: String,
}

impl Wrong {
    /// It is about no line in particular.
    pub fn whole(what: String) -> Self {
        Self { line: None, what }
    }
}

/// Behind the name of the file.
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Reads a file, or says what is wrong with it.
pub fn read(text: &str, names: &mut Names) -> Result<Content, Wrong> {
    let mut content = Content::default();
    for (first_line, document) in split(text) {
        if let Some(line) = too_deep(document) {
            let what = format!("brackets, braces or dashes are nested more than {DEEPEST} deep");
            return Err(Wrong { line: Some(first_line + line), what });
        }
        read_document(document, &mut content, names).map_err(|error| Wrong {
            line: error.location().map(|at| first_line + at.line()),
            what: format!("{}{}", whose(document), without_place(&error.to_string())),
        })?;
    }
    Ok(content)
}

/// The documents of a file, each with the number of lines before it.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        // Nothing but a separator may stand there: a block scalar is indented.
        if line.trim_end() == "---" || line.starts_with("--- ") {
            documents.push((start_line, &text[start..offset]));
            (start, start_line) = (offset + line.len(), number + 1);
        }
        offset += line.len();
    }
    documents.push((start_line, &text[start..]));
    documents.retain(|(_, document)| document.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')));
    documents
}

/// The line where a document is nested too deeply. Text in quotes counts too: it has as many that open as that close, or
/// few.
fn too_deep(document: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (number, line) in document.lines().enumerate() {
        for byte in line.bytes() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEEPEST {
                return Some(number + 1);
            }
        }
        let openers = line.split(' ').take_while(|word| matches!(*word, "" | "-" | "?" | ":"));
        if openers.filter(|word| !word.is_empty()).count() > DEEPEST {
            return Some(number + 1);
        }
    }
    None
}

/// The object that a document is about, for messages.
fn whose(document: &str) -> String {
    let kind = serde_norway::from_str(document).map(|header: Header| Kind::find(&header.api_version, &header.kind));
    match (kind, serde_norway::from_str::<Named>(document)) {
        (Ok(Some(kind)), Ok(named)) => format!("{} {}: ", kind.name(), named.name(kind, &mut Names::default())),
        _ => String::new(),
    }
}

/// What a document says it is. The items of lists that name their kind themselves need not.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    api_version: String,
    kind: String,
    #[serde(default)]
    items: Option<Vec<Item>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    api_version: Option<String>,
    kind: Option<String>,
}

impl Outline {
    /// The kinds of the items of a list, in their order.
    fn listed(&mut self) -> Option<Vec<(String, String)>> {
        let of_items = self.kind.strip_suffix("List")?;
        let items = self.items.take().unwrap_or_default();
        let known = |item: Item| {
            let api_version = item.api_version.unwrap_or_else(|| self.api_version.clone());
            (api_version, item.kind.unwrap_or_else(|| of_items.to_owned()))
        };
        Some(items.into_iter().map(known).collect())
    }
}

fn read_document(document: &str, content: &mut Content, names: &mut Names) -> Result<(), serde_norway::Error> {
    let mut outline: Outline = serde_norway::from_str(document)?;
    let document = serde_norway::Deserializer::from_str(document);
    if let Some(kinds) = outline.listed() {
        return ListSeed { kinds, content, names }.deserialize(document);
    }
    match Kind::find(&outline.api_version, &outline.kind) {
        Some(kind) => content.objects.push(objects::read(kind, document, names)?),
        None => content.passed_over.push(format!("{} {}", outline.api_version, outline.kind)),
    }
    Ok(())
}

/// Reads the items of a list whose kinds are known, in place, so that errors know field and line.
struct ListSeed<'a> {
    kinds: Vec<(String, String)>,
    content: &'a mut Content,
    names: &'a mut Names,
}

impl<'de> DeserializeSeed<'de> for ListSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ListSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { kinds, content, names } = self;
        while let Some(key) = map.next_key::<String>()? {
            if key == "items" {
                map.next_value_seed(Items { kinds: &kinds, content: &mut *content, names: &mut *names })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Items<'a> {
    kinds: &'a [(String, String)],
    content: &'a mut Content,
    names: &'a mut Names,
}

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { kinds, content, names } = self;
        for (api_version, kind) in kinds {
            let Some(known) = Kind::find(api_version, kind) else {
                seq.next_element::<IgnoredAny>()?;
                content.passed_over.push(format!("{api_version} {kind}"));
                continue;
            };
            content.objects.extend(seq.next_element_seed(ItemSeed { kind: known, names: &mut *names })?);
        }
        // A list that is read twice is as long as it was.
        seq.next_element::<IgnoredAny>().map(|_| ())
    }
}

struct ItemSeed<'a> {
    kind: Kind,
    names: &'a mut Names,
}

impl<'de> DeserializeSeed<'de> for ItemSeed<'_> {
    type Value = Object;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object, D::Error> {
        objects::read(self.kind, deserializer, self.names)
    }
}
