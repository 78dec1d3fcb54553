//! Which views show the rows of a table, by what the servers print of their definitions.

use std::collections::HashMap;

use crate::vschema::TableName;

/// A row of `information_schema.views`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// TABLE_NAME.
    pub name: String,
    /// VIEW_DEFINITION; empty if Geogate's account may not see it.
    pub definition: String,
}

/// The views of all keyspaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Views {
    /// The database that a keyspace is on its servers.
    databases: HashMap<String, String>,
    /// The definitions of each, in lower case and with backquotes; shards may have others.
    definitions: HashMap<TableName, Vec<String>>,
}

impl Views {
    pub(super) fn with_keyspace<'a>(
        &self,
        keyspace: &str,
        database: &str,
        rows: impl Iterator<Item = &'a ViewRow>,
    ) -> Self {
        let mut all = self.clone();
        all.databases.insert(keyspace.to_owned(), database.to_owned());
        all.definitions.retain(|view, _| view.keyspace != keyspace);
        for row in rows {
            let view = TableName { keyspace: keyspace.to_owned(), name: row.name.clone() };
            let text = row.definition.to_lowercase().replace('"', "`");
            let known = all.definitions.entry(view).or_default();
            if !known.contains(&text) {
                known.push(text);
            }
        }
        all
    }

    pub(super) fn contains(&self, name: &TableName) -> bool {
        self.definitions.contains_key(name)
    }

    /// Those over any of these tables, directly or through others.
    pub(super) fn over(&self, tables: &[TableName]) -> Vec<TableName> {
        let mut found: Vec<TableName> = Vec::new();
        let mut names: Vec<String> = tables.iter().map(|table| self.printed(table)).collect();
        loop {
            let shows = |texts: &Vec<String>| {
                texts.iter().any(|text| {
                    text.is_empty() || names.iter().any(|name| text.contains(name.as_str()))
                })
            };
            let new = self.definitions.iter().filter(|(view, texts)| {
                !found.contains(view) && !tables.contains(view) && shows(texts)
            });
            let new: Vec<TableName> = new.map(|(view, _)| view.clone()).collect();
            if new.is_empty() {
                return found;
            }
            names.extend(new.iter().map(|view| self.printed(view)));
            found.extend(new);
        }
    }

    /// A table as definitions name it.
    fn printed(&self, table: &TableName) -> String {
        let database = self.databases.get(&table.keyspace).unwrap_or(&table.keyspace);
        let quoted = |name: &str| format!("`{}`", name.to_lowercase().replace('`', "``"));
        format!("{}.{}", quoted(database), quoted(&table.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_found_through_others_and_databases_of_other_names() {
        let name = |keyspace: &str, name: &str| TableName {
            keyspace: keyspace.to_owned(),
            name: name.to_owned(),
        };
        let view = |name: &str, definition: &str| ViewRow {
            name: name.to_owned(),
            definition: definition.to_owned(),
        };
        let base = [
            view("direct", "select `db`.`src`.`id` AS `id` from `db`.`Src`"),
            view("plain", "select `db`.`other`.`src` AS `src` from `db`.`other`"),
            view("unseen", ""),
            view("ansi", r#"select "s"."id" AS "id" from "db"."src" "s""#),
        ];
        let elsewhere = [view("through", "select `direct`.`id` AS `id` from `db`.`direct`")];
        let views = Views::default().with_keyspace("two", "two", elsewhere.iter()).with_keyspace(
            "base",
            "db",
            base.iter(),
        );
        let mut found = views.over(&[name("base", "src")]);
        found.sort();
        let expected = [
            name("base", "ansi"),
            name("base", "direct"),
            name("base", "unseen"),
            name("two", "through"),
        ];
        assert_eq!(found, expected);
        assert!(views.contains(&name("base", "plain")) && !views.contains(&name("two", "plain")));
        let less = views.with_keyspace("base", "db", [].iter());
        assert!(less.over(&[name("base", "src")]).is_empty());
    }
}
