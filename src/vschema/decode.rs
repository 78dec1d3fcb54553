//! Reading a JSON tree as protojson reads it: names in snake_case or camelCase, null as absent;
//! every name and type that does not fit becomes a problem.

use std::collections::HashSet;
use std::sync::Arc;

use super::json::{Json, LineIndex, Member, Node};
use super::problem::{Place, Problems, nearest};

/// A value and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spot<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A document being read.
pub(super) struct Document {
    file: Arc<str>,
    lines: LineIndex,
}

impl Document {
    pub(super) fn new(file: &str, text: &str) -> Self {
        Self { file: file.into(), lines: LineIndex::new(text) }
    }

    pub(super) fn place(&self, at: usize, pointer: String) -> Place {
        Place { file: self.file.clone(), line: self.lines.line_of(at), pointer }
    }
}

/// A node with its place.
#[derive(Clone)]
pub(super) struct Item<'n> {
    pub(super) node: &'n Node,
    pub(super) place: Place,
}

/// The members of an object, taken one by one; what is left over is unknown.
pub(super) struct Fields<'n> {
    members: Vec<(&'n Member, Place)>,
    known: Vec<&'static str>,
    /// Where the object is.
    pub(super) place: Place,
}

/// The members of an object, or nothing and a problem.
pub(super) fn members<'n>(
    document: &Document,
    item: &Item<'n>,
    problems: &mut Problems,
) -> Vec<(&'n Member, Place)> {
    let Json::Object(members) = &item.node.value else {
        wrong_type(item, "an object", problems);
        return Vec::new();
    };
    let mut known = HashSet::with_capacity(members.len());
    let mut placed: Vec<(&Member, Place)> = Vec::with_capacity(members.len());
    for member in members {
        let escaped = member.name.replace('~', "~0").replace('/', "~1");
        let place = document.place(member.at, format!("{}/{escaped}", item.place.pointer));
        if known.insert(member.name.as_str()) {
            placed.push((member, place));
        } else {
            let what = format!("'{}' is written twice", member.name);
            problems.fatal(&place, what, "remove one of the two");
        }
    }
    placed.retain(|(member, _)| member.node.value != Json::Null);
    placed
}

/// The entries of a list, or nothing and a problem.
pub(super) fn items<'n>(
    document: &Document,
    item: &Item<'n>,
    problems: &mut Problems,
) -> Vec<Item<'n>> {
    let Json::Array(nodes) = &item.node.value else {
        wrong_type(item, "a list", problems);
        return Vec::new();
    };
    let place =
        |index, node: &Node| document.place(node.at, format!("{}/{index}", item.place.pointer));
    let items = nodes.iter().enumerate();
    items.map(|(index, node)| Item { node, place: place(index, node) }).collect()
}

fn wrong_type(item: &Item<'_>, wanted: &str, problems: &mut Problems) {
    let what = format!("expected {wanted}, found {}", item.node.value.kind());
    problems.fatal(&item.place, what, format!("write {wanted} here"));
}

/// A string; protojson takes nothing else for one.
pub(super) fn string(item: &Item<'_>, problems: &mut Problems) -> Option<Spot<String>> {
    match &item.node.value {
        Json::String(text) => Some(Spot { value: text.clone(), place: item.place.clone() }),
        _ => {
            wrong_type(item, "a string", problems);
            None
        }
    }
}

impl<'n> Fields<'n> {
    pub(super) fn new(document: &Document, item: &Item<'n>, problems: &mut Problems) -> Self {
        let members = members(document, item, problems);
        Self { members, known: Vec::new(), place: item.place.clone() }
    }

    /// The member of this name in snake_case, or its camelCase form.
    pub(super) fn take(&mut self, name: &'static str, problems: &mut Problems) -> Option<Item<'n>> {
        self.known.push(name);
        let camel = camel_case(name);
        let mut found = None;
        let is_it = |(member, _): &(&Member, Place)| member.name == name || member.name == camel;
        while let Some(at) = self.members.iter().position(is_it) {
            let (member, place) = self.members.remove(at);
            if found.is_some() {
                let what = format!("'{}' is written twice, as '{name}' and '{camel}'", member.name);
                problems.fatal(&place, what, "remove one of the two");
            } else {
                found = Some(Item { node: &member.node, place });
            }
        }
        found
    }

    pub(super) fn string(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
    ) -> Option<Spot<String>> {
        let item = self.take(name, problems)?;
        string(&item, problems)
    }

    pub(super) fn flag(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
    ) -> Option<Spot<bool>> {
        let item = self.take(name, problems)?;
        match item.node.value {
            Json::Bool(value) => Some(Spot { value, place: item.place }),
            _ => {
                wrong_type(&item, "true or false", problems);
                None
            }
        }
    }

    /// A number, or a number in quotes, or an enumeration's name: the text of it.
    pub(super) fn scalar(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
    ) -> Option<Spot<String>> {
        let item = self.take(name, problems)?;
        match &item.node.value {
            Json::String(text) | Json::Number(text) => {
                Some(Spot { value: text.clone(), place: item.place })
            }
            _ => {
                wrong_type(&item, "a name or a number", problems);
                None
            }
        }
    }

    pub(super) fn integer(&mut self, name: &'static str, problems: &mut Problems) -> i32 {
        let Some(spot) = self.scalar(name, problems) else { return 0 };
        spot.value.parse().unwrap_or_else(|_| {
            let what = format!("'{}' is not a 32-bit integer", spot.value);
            problems.fatal(&spot.place, what, "write a number");
            0
        })
    }

    /// A list of strings.
    pub(super) fn strings(
        &mut self,
        name: &'static str,
        document: &Document,
        problems: &mut Problems,
    ) -> Option<Spot<Vec<Spot<String>>>> {
        let item = self.take(name, problems)?;
        let entries = items(document, &item, problems);
        let value = entries.iter().filter_map(|entry| string(entry, problems)).collect();
        Some(Spot { value, place: item.place })
    }

    /// Everything that was not taken is unknown.
    pub(super) fn finish(self, problems: &mut Problems) {
        for (member, place) in self.members {
            let near = nearest(&member.name, self.known.iter().copied());
            let advice = match near {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            problems.mistake(&place, format!("unknown field '{}'", member.name), advice);
        }
    }
}

fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for character in name.chars() {
        match character {
            '_' => upper = true,
            _ if upper => {
                camel.push(character.to_ascii_uppercase());
                upper = false;
            }
            _ => camel.push(character),
        }
    }
    camel
}
