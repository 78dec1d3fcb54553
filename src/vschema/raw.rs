//! A VSchema as it was written: every field of `proto/vschema.proto`, each with its place.
//!
//! Nothing is judged here but names and JSON types.

use super::column::SqlType;
use super::decode::{Document, Fields, Item, Spot, items, members, string};
use super::json::Json;
use super::problem::{Place, Problems, nearest};

/// Several files put together.
#[derive(Debug, Default)]
pub(super) struct RawVSchema {
    pub(super) keyspaces: Vec<(Spot<String>, RawKeyspace)>,
    pub(super) routing: Vec<RawRoutingRule>,
    pub(super) shard_routing: Vec<RawMove>,
    pub(super) keyspace_routing: Vec<RawMove>,
    pub(super) mirror: Vec<RawMirrorRule>,
}

#[derive(Debug)]
pub(super) struct RawKeyspace {
    pub(super) sharded: bool,
    pub(super) vindexes: Vec<(Spot<String>, RawVindex)>,
    pub(super) tables: Vec<(Spot<String>, RawTable)>,
    pub(super) require_explicit_routing: bool,
    pub(super) foreign_key_mode: Option<Spot<String>>,
    pub(super) multi_tenant: Option<RawMultiTenant>,
}

#[derive(Debug)]
pub(super) struct RawMultiTenant {
    pub(super) column: Option<Spot<String>>,
    pub(super) column_type: Option<Spot<String>>,
}

#[derive(Debug)]
pub(super) struct RawVindex {
    pub(super) place: Place,
    pub(super) type_name: Option<Spot<String>>,
    pub(super) params: Vec<(Spot<String>, String)>,
    pub(super) owner: Option<Spot<String>>,
}

#[derive(Debug)]
pub(super) struct RawTable {
    pub(super) place: Place,
    pub(super) kind: Option<Spot<String>>,
    pub(super) column_vindexes: Vec<RawColumnVindex>,
    pub(super) auto_increment: Option<RawAutoIncrement>,
    pub(super) columns: Vec<RawColumn>,
    pub(super) pinned: Option<Spot<String>>,
    pub(super) authoritative: bool,
    pub(super) source: Option<Spot<String>>,
}

#[derive(Debug)]
pub(super) struct RawColumnVindex {
    pub(super) place: Place,
    pub(super) column: Option<Spot<String>>,
    pub(super) columns: Option<Spot<Vec<Spot<String>>>>,
    pub(super) name: Option<Spot<String>>,
}

#[derive(Debug)]
pub(super) struct RawAutoIncrement {
    pub(super) place: Place,
    pub(super) column: Option<Spot<String>>,
    pub(super) sequence: Option<Spot<String>>,
}

#[derive(Debug)]
pub(super) struct RawColumn {
    pub(super) place: Place,
    pub(super) name: Option<Spot<String>>,
    pub(super) sql_type: SqlType,
    pub(super) invisible: bool,
    pub(super) default: Option<String>,
    pub(super) collation: Option<String>,
    pub(super) size: i32,
    pub(super) scale: i32,
    pub(super) nullable: bool,
    pub(super) values: Vec<String>,
}

#[derive(Debug)]
pub(super) struct RawRoutingRule {
    pub(super) place: Place,
    pub(super) from: Option<Spot<String>>,
    pub(super) to: Vec<Spot<String>>,
}

/// A shard or keyspace routing rule.
#[derive(Debug)]
pub(super) struct RawMove {
    pub(super) place: Place,
    pub(super) from: Option<Spot<String>>,
    pub(super) to: Option<Spot<String>>,
}

#[derive(Debug)]
pub(super) struct RawMirrorRule {
    pub(super) place: Place,
    pub(super) percent: f32,
}

impl RawVSchema {
    /// Adds the keyspace that a file of its own describes.
    pub(super) fn add_keyspace(&mut self, name: &str, place: Place, keyspace: RawKeyspace) {
        self.keyspaces.push((Spot { value: name.to_owned(), place }, keyspace));
    }
}

/// Reads documents into a [`RawVSchema`].
pub(super) struct RawReader<'a> {
    pub(super) document: Document,
    pub(super) problems: &'a mut Problems,
}

fn text(spot: Option<Spot<String>>) -> Option<String> {
    spot.map(|spot| spot.value)
}

fn is_set(spot: Option<Spot<bool>>) -> bool {
    spot.is_some_and(|spot| spot.value)
}

impl RawReader<'_> {
    /// A whole SrvVSchema: keyspaces and rules.
    pub(super) fn srv_vschema(&mut self, item: &Item<'_>, raw: &mut RawVSchema) {
        let mut fields = Fields::new(&self.document, item, self.problems);
        if let Some(keyspaces) = fields.take("keyspaces", self.problems) {
            for (member, place) in members(&self.document, &keyspaces, self.problems) {
                let item = Item { node: &member.node, place: place.clone() };
                let keyspace = self.keyspace(&item);
                raw.keyspaces.push((Spot { value: member.name.clone(), place }, keyspace));
            }
        }
        self.rules_of(fields, raw);
    }

    /// `rules.json`: the rules of a SrvVSchema alone.
    pub(super) fn rules(&mut self, item: &Item<'_>, raw: &mut RawVSchema) {
        let fields = Fields::new(&self.document, item, self.problems);
        self.rules_of(fields, raw);
    }

    fn rules_of(&mut self, mut fields: Fields<'_>, raw: &mut RawVSchema) {
        for rule in self.rule_list("routing_rules", &mut fields) {
            let mut rule = Fields::new(&self.document, &rule, self.problems);
            let from = rule.string("from_table", self.problems);
            let to = rule.strings("to_tables", &self.document, self.problems);
            let to = to.map(|spot| spot.value).unwrap_or_default();
            raw.routing.push(RawRoutingRule { place: rule.place.clone(), from, to });
            rule.finish(self.problems);
        }
        for rule in self.rule_list("shard_routing_rules", &mut fields) {
            let mut rule = Fields::new(&self.document, &rule, self.problems);
            rule.string("shard", self.problems);
            let moved = self.keyspace_move(rule);
            raw.shard_routing.push(moved);
        }
        for rule in self.rule_list("keyspace_routing_rules", &mut fields) {
            let rule = Fields::new(&self.document, &rule, self.problems);
            let moved = self.keyspace_move(rule);
            raw.keyspace_routing.push(moved);
        }
        for rule in self.rule_list("mirror_rules", &mut fields) {
            let mut rule = Fields::new(&self.document, &rule, self.problems);
            rule.string("from_table", self.problems);
            rule.string("to_table", self.problems);
            let percent = rule.scalar("percent", self.problems);
            let percent = percent.and_then(|spot| spot.value.parse().ok()).unwrap_or(0.0);
            raw.mirror.push(RawMirrorRule { place: rule.place.clone(), percent });
            rule.finish(self.problems);
        }
        fields.finish(self.problems);
    }

    fn keyspace_move(&mut self, mut rule: Fields<'_>) -> RawMove {
        let from = rule.string("from_keyspace", self.problems);
        let to = rule.string("to_keyspace", self.problems);
        let place = rule.place.clone();
        rule.finish(self.problems);
        RawMove { place, from, to }
    }

    fn rule_list<'n>(&mut self, name: &'static str, fields: &mut Fields<'n>) -> Vec<Item<'n>> {
        let Some(item) = fields.take(name, self.problems) else { return Vec::new() };
        let mut wrapper = Fields::new(&self.document, &item, self.problems);
        let list = wrapper.take("rules", self.problems);
        wrapper.finish(self.problems);
        list.map(|list| items(&self.document, &list, self.problems)).unwrap_or_default()
    }

    /// One keyspace.
    pub(super) fn keyspace(&mut self, item: &Item<'_>) -> RawKeyspace {
        let mut fields = Fields::new(&self.document, item, self.problems);
        let vindexes = self.named(&mut fields, "vindexes", Self::vindex);
        let tables = self.named(&mut fields, "tables", Self::table);
        let multi_tenant = fields.take("multi_tenant_spec", self.problems).map(|item| {
            let mut spec = Fields::new(&self.document, &item, self.problems);
            let column = spec.string("tenant_id_column_name", self.problems);
            let column_type = spec.scalar("tenant_id_column_type", self.problems);
            spec.finish(self.problems);
            RawMultiTenant { column, column_type }
        });
        let keyspace = RawKeyspace {
            sharded: is_set(fields.flag("sharded", self.problems)),
            vindexes,
            tables,
            require_explicit_routing: is_set(
                fields.flag("require_explicit_routing", self.problems),
            ),
            foreign_key_mode: fields.scalar("foreign_key_mode", self.problems),
            multi_tenant,
        };
        fields.finish(self.problems);
        keyspace
    }

    fn named<T>(
        &mut self,
        fields: &mut Fields<'_>,
        name: &'static str,
        read: impl Fn(&mut Self, &Item<'_>) -> T,
    ) -> Vec<(Spot<String>, T)> {
        let Some(item) = fields.take(name, self.problems) else { return Vec::new() };
        let members = members(&self.document, &item, self.problems);
        let entries = members.into_iter().map(|(member, place)| {
            let value = read(self, &Item { node: &member.node, place: place.clone() });
            (Spot { value: member.name.clone(), place }, value)
        });
        entries.collect()
    }

    fn vindex(&mut self, item: &Item<'_>) -> RawVindex {
        let mut fields = Fields::new(&self.document, item, self.problems);
        let type_name = fields.string("type", self.problems);
        let owner = fields.string("owner", self.problems);
        let mut params = Vec::new();
        if let Some(item) = fields.take("params", self.problems) {
            for (member, place) in members(&self.document, &item, self.problems) {
                let item = Item { node: &member.node, place: place.clone() };
                if let Some(value) = string(&item, self.problems) {
                    params.push((Spot { value: member.name.clone(), place }, value.value));
                }
            }
        }
        fields.finish(self.problems);
        RawVindex { place: item.place.clone(), type_name, params, owner }
    }

    fn table(&mut self, item: &Item<'_>) -> RawTable {
        let mut fields = Fields::new(&self.document, item, self.problems);
        let column_vindexes = self.list(&mut fields, "column_vindexes", Self::column_vindex);
        let columns = self.list(&mut fields, "columns", Self::column);
        let auto_increment = fields.take("auto_increment", self.problems).map(|item| {
            let mut auto = Fields::new(&self.document, &item, self.problems);
            let column = auto.string("column", self.problems);
            let sequence = auto.string("sequence", self.problems);
            auto.finish(self.problems);
            RawAutoIncrement { place: item.place, column, sequence }
        });
        let table = RawTable {
            place: item.place.clone(),
            kind: fields.string("type", self.problems),
            column_vindexes,
            auto_increment,
            columns,
            pinned: fields.string("pinned", self.problems),
            authoritative: is_set(fields.flag("column_list_authoritative", self.problems)),
            source: fields.string("source", self.problems),
        };
        fields.finish(self.problems);
        table
    }

    fn list<T>(
        &mut self,
        fields: &mut Fields<'_>,
        name: &'static str,
        read: impl Fn(&mut Self, &Item<'_>) -> T,
    ) -> Vec<T> {
        let Some(item) = fields.take(name, self.problems) else { return Vec::new() };
        let items = items(&self.document, &item, self.problems);
        items.iter().map(|item| read(self, item)).collect()
    }

    fn column_vindex(&mut self, item: &Item<'_>) -> RawColumnVindex {
        let mut fields = Fields::new(&self.document, item, self.problems);
        let raw = RawColumnVindex {
            place: item.place.clone(),
            column: fields.string("column", self.problems),
            columns: fields.strings("columns", &self.document, self.problems),
            name: fields.string("name", self.problems),
        };
        fields.finish(self.problems);
        raw
    }

    fn column(&mut self, item: &Item<'_>) -> RawColumn {
        let mut fields = Fields::new(&self.document, item, self.problems);
        let name = fields.string("name", self.problems);
        let sql_type = fields.scalar("type", self.problems);
        let values = fields.strings("values", &self.document, self.problems);
        let values = values.map(|spot| spot.value).unwrap_or_default();
        let raw = RawColumn {
            place: item.place.clone(),
            name,
            sql_type: sql_type.map_or(SqlType::Unknown, |spot| self.sql_type(&spot)),
            invisible: is_set(fields.flag("invisible", self.problems)),
            default: text(fields.string("default", self.problems)),
            collation: text(fields.string("collation_name", self.problems)),
            size: fields.integer("size", self.problems),
            scale: fields.integer("scale", self.problems),
            nullable: fields.flag("nullable", self.problems).is_none_or(|spot| spot.value),
            values: values.into_iter().map(|spot| spot.value).collect(),
        };
        fields.finish(self.problems);
        raw
    }

    fn sql_type(&mut self, spot: &Spot<String>) -> SqlType {
        SqlType::parse(&spot.value).unwrap_or_else(|| {
            let near = nearest(&spot.value, SqlType::names());
            let advice = match near {
                Some(near) => format!("did you mean '{near}'?"),
                None => "write a type of Vitess, such as INT64 or VARCHAR".to_owned(),
            };
            let what = format!("unknown column type '{}'", spot.value);
            self.problems.mistake(&spot.place, what, advice);
            SqlType::Unknown
        })
    }
}

/// Whether an object looks like one keyspace rather than a whole SrvVSchema.
pub(super) fn is_keyspace(json: &Json) -> bool {
    let Json::Object(members) = json else { return false };
    let has = |name| members.iter().any(|member| member.name == name);
    !has("keyspaces") && (has("sharded") || has("tables") || has("vindexes"))
}
