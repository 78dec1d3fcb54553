//! Rows of SHOW VSCHEMA and SHOW CANARY, as vtgate names their columns where it has them.
//!
//! Rows only: who may see them and how they are sent is decided by the callers.

use std::path::Path;
use std::sync::Arc;

use crate::canary::{Draft, Origin, Serving, Version, Weight};
use crate::clock;
use crate::error::{SqlError, catalog};
use crate::vschema::{ForeignKeyMode, NamedVindex, VSchema};

use super::answer::{Answer, Leaves};
use super::reply::{Column, Kind};

/// A table of texts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// Names of the columns.
    pub(super) columns: &'static [&'static str],
    /// One text a column.
    pub(super) rows: Vec<Vec<Option<String>>>,
}

impl Listing {
    pub(super) fn answer(self) -> Answer {
        let columns = self.columns.iter().map(|name| Column::new(*name, Kind::Text(512))).collect();
        Answer::text(columns, self.rows).leaving(Leaves::Nothing)
    }
}

type Row = Vec<Option<String>>;

fn row<const N: usize>(cells: [String; N]) -> Row {
    cells.into_iter().map(Some).collect()
}

/// SHOW VSCHEMA KEYSPACES
pub(super) fn keyspaces(vschema: &VSchema) -> Listing {
    let rows = vschema.keyspaces().map(|keyspace| {
        let foreign_keys = match keyspace.foreign_key_mode() {
            ForeignKeyMode::Unmanaged => "unmanaged",
            ForeignKeyMode::Disallow => "disallow",
            ForeignKeyMode::Managed => "managed",
        };
        let name = keyspace.name().to_owned();
        row([name, keyspace.is_sharded().to_string(), foreign_keys.to_owned(), String::new()])
    });
    Listing { columns: &["Keyspace", "Sharded", "Foreign Key", "Comment"], rows: rows.collect() }
}

/// SHOW VSCHEMA TABLES of one keyspace.
pub(super) fn tables(vschema: &VSchema, keyspace: Option<&str>) -> Result<Listing, SqlError> {
    let name = keyspace.ok_or_else(|| catalog::NO_KEYSPACE.error())?;
    let found = vschema.keyspace(name).ok_or_else(|| catalog::UNKNOWN_KEYSPACE.with(&[&name]))?;
    let rows = found.tables().map(|table| row([table.name().to_owned()])).collect();
    Ok(Listing { columns: &["Tables"], rows })
}

/// SHOW VSCHEMA VINDEXES of everything.
pub(super) fn vindexes(vschema: &VSchema) -> Listing {
    let rows = vschema.keyspaces().flat_map(|keyspace| {
        keyspace.vindexes().map(|vindex| {
            let [name, type_name, params, owner] = describe(vindex);
            row([keyspace.name().to_owned(), name, type_name, params, owner])
        })
    });
    Listing { columns: &["Keyspace", "Name", "Type", "Params", "Owner"], rows: rows.collect() }
}

/// SHOW VSCHEMA VINDEXES ON a table.
pub(super) fn vindexes_of(
    vschema: &VSchema,
    keyspace: Option<&str>,
    table: &str,
) -> Result<Listing, SqlError> {
    let found = vschema.find_unrouted(keyspace, table)?;
    let rows = found.column_vindexes().iter().map(|on| {
        let [name, type_name, params, owner] = describe(&on.vindex);
        row([on.columns.join(", "), name, type_name, params, owner])
    });
    let columns = &["Columns", "Name", "Type", "Params", "Owner"];
    Ok(Listing { columns, rows: rows.collect() })
}

fn describe(vindex: &Arc<NamedVindex>) -> [String; 4] {
    let params: Vec<String> =
        vindex.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let owner = vindex.owner.clone().unwrap_or_default();
    [vindex.name.clone(), vindex.type_name.clone(), params.join("; "), owner]
}

/// SHOW CANARY: one row for each generation in service.
pub(super) fn canary(serving: &Serving) -> Listing {
    let candidate = serving.split().map_or(Weight::NONE, |split| split.weight());
    let stable = Weight::new(10_000 - u32::from(candidate.basis_points())).unwrap_or(Weight::ALL);
    let sides = [("stable", stable), ("candidate", candidate)];
    let rows = serving.generations().zip(sides).map(|(generation, (side, share))| {
        let counts = generation.plans().counts();
        row([
            side.to_owned(),
            generation.number().to_string(),
            share.percent().to_string(),
            generation.origin().to_owned(),
            counts.entries.to_string(),
            counts.hits.to_string(),
            counts.misses.to_string(),
        ])
    });
    let columns =
        &["Generation", "Version", "Percent", "Origin", "Plans", "Plan_hits", "Plan_misses"];
    Listing { columns, rows: rows.collect() }
}

/// SHOW VSCHEMA HISTORY: files that do not serve, then the versions, the newest first.
pub(super) fn history(
    draft: Option<(&Draft, &Path)>,
    versions: &[Version],
    active: u64,
) -> Listing {
    let draft = draft.map(|(draft, path)| {
        let origin = Origin::Files(path.display().to_string()).describe();
        let origin = format!("{origin}: {}", draft.reason.name());
        let at = clock::utc_text(draft.at);
        vec![None, Some("draft".to_owned()), Some(at), None, Some(origin)]
    });
    let versions = versions.iter().map(|version| {
        let state = if version.number == active { "active" } else { "" };
        row([
            version.number.to_string(),
            state.to_owned(),
            clock::utc_text(version.at),
            version.by.clone(),
            version.origin.describe(),
        ])
    });
    let rows = draft.into_iter().chain(versions).collect();
    Listing { columns: &["Version", "State", "At", "By", "Origin"], rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::Split;
    use crate::planner::generation::Generation;
    use crate::vschema::{Sources, Strictness};

    fn vschema() -> VSchema {
        let text = r#"{"keyspaces": {
            "catalog": {"sharded": false, "tables": {"seq": {"type": "sequence"}}},
            "shop": {"sharded": true, "vindexes": {
                "hash": {"type": "hash"},
                "cfc": {"type": "cfc", "params": {"hash": "md5", "offsets": "[1,2]"}}},
              "tables": {"b": {"column_vindexes": [{"columns": ["id"], "name": "hash"}]},
                         "a": {"column_vindexes": [{"column": "k", "name": "cfc"}]}}}}}"#;
        Sources::from_text("all.json", text).validate(Strictness::Strict).vschema.unwrap()
    }

    fn texts(listing: &Listing) -> Vec<String> {
        let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".to_owned());
        listing.rows.iter().map(|r| r.iter().map(cell).collect::<Vec<_>>().join("|")).collect()
    }

    #[test]
    fn the_vschema_is_shown_in_order() {
        let vschema = vschema();
        assert_eq!(
            texts(&keyspaces(&vschema)),
            ["catalog|false|unmanaged|", "shop|true|unmanaged|"]
        );
        assert_eq!(texts(&tables(&vschema, Some("shop")).unwrap()), ["a", "b"]);
        assert_eq!(tables(&vschema, None).unwrap_err().id, Some("GG05005"));
        assert_eq!(tables(&vschema, Some("none")).unwrap_err().id, Some("GG05003"));
        let params = "hash=md5; offsets=[1,2]";
        assert_eq!(
            texts(&vindexes(&vschema)),
            [format!("shop|cfc|cfc|{params}|"), "shop|hash|hash||".to_owned()]
        );
        let of_b = vindexes_of(&vschema, Some("shop"), "b").unwrap();
        assert_eq!(texts(&of_b), ["id|hash|hash||"]);
        assert!(vindexes_of(&vschema, Some("shop"), "c").is_err());
    }

    #[test]
    fn a_canary_has_two_rows() {
        let generation = |n| Arc::new(Generation::new(n, "test", Arc::new(vschema()), 10));
        let stable = Serving::Stable(generation(1));
        assert_eq!(texts(&canary(&stable)), ["stable|1|100|test|0|0|0"]);
        let split = Split::new(1, Weight::new(1).unwrap());
        let both = Serving::Canary { stable: generation(1), candidate: generation(2), split };
        let expected = ["stable|1|99.99|test|0|0|0", "candidate|2|0.01|test|0|0|0"];
        assert_eq!(texts(&canary(&both)), expected);
    }
}
