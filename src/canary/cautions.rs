//! What a change will refuse by name, though no row would go astray.

use crate::vschema::{Table, TableName, VSchema};

/// What works under the one VSchema and is refused under the other.
pub fn cautions(stable: &VSchema, candidate: &VSchema) -> Vec<String> {
    let second = |table: &Table| {
        let mut others = table.column_vindexes().iter().skip(1);
        others.any(|vindex| !vindex.vindex.vindex.needs_lookup())
    };
    let listed = |name: &TableName| stable.keyspace(&name.keyspace)?.table(&name.name);
    let added = candidate.tables().filter(|table| {
        second(table) && listed(table.qualified_name()).is_some_and(|old| !second(old))
    });
    let told = added.map(|table| {
        let name = table.qualified_name();
        format!("INSERT into {name} is refused while it has a second functional vindex")
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vschema::{Sources, Strictness};

    /// The planner cannot yet prove that two functional vindexes of a new row agree.
    #[test]
    fn a_second_functional_vindex_stops_inserts() {
        let vschema = |vindexes: &str| {
            let text = format!(
                r#"{{"sharded": true, "vindexes": {{"hash": {{"type": "hash"}},
                "xx": {{"type": "xxhash"}}}}, "tables": {{"orders": {{"column_vindexes":
                [{{"column": "customer_id", "name": "hash"}}{vindexes}]}}}}}}"#
            );
            let sources = Sources::from_text("shop.json", &text);
            sources.validate(Strictness::Strict).vschema.expect("a VSchema")
        };
        let (old, new) = (vschema(""), vschema(r#", {"column": "id2", "name": "xx"}"#));
        assert_eq!(
            cautions(&old, &new),
            ["INSERT into shop.orders is refused while it has a second functional vindex"]
        );
        assert_eq!(cautions(&new, &old), Vec::<String>::new());
    }
}
