//! Kinds of changes between two VSchemas, and what each kind means for the rows that are there.

use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;

use crate::vschema::TableName;

/// What a change means for rows and statements, the harmless first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeClass {
    /// No statement is answered differently.
    Metadata,
    /// Every row keeps its home, and writes maintain what they did; reads may take another way.
    ReadRoute,
    /// Writes must maintain something else.
    WriteUpkeep,
    /// Statements that worked would be refused.
    Removal,
    /// A row's home moves, or is not known to stay.
    Placement,
    /// A row may leave its allowed regions.
    Residency,
}

impl ChangeClass {
    /// Whether rows that are there would be looked for in another place, or where they must not be.
    pub fn moves_rows(self) -> bool {
        matches!(self, Self::Placement | Self::Residency)
    }

    /// Whether both VSchemas may serve at the same time, each a share of the sessions.
    pub fn may_be_shared(self) -> bool {
        matches!(self, Self::Metadata | Self::ReadRoute)
    }
}

/// The part of a VSchema that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A keyspace that only the new one has.
    KeyspaceAdded,
    /// A keyspace that the new one does not have.
    KeyspaceRemoved,
    /// Sharded, or not.
    Sharding,
    /// `foreign_key_mode`.
    ForeignKeyMode,
    /// `multi_tenant_spec`.
    MultiTenant,
    /// `require_explicit_routing`.
    ExplicitRouting,
    /// Definitions of vindexes; what that means for tables is told with those.
    Vindexes,
    /// A table that only the new one lists.
    TableAdded,
    /// A table that the new one does not list.
    TableRemoved,
    /// A table that is in another keyspace.
    TableMoved,
    /// A table that was listed before the active VSchema, with another home.
    TableReturned,
    /// Ordinary table, sequence or reference table, and the source of that.
    Kind,
    /// `pinned`.
    Pin,
    /// Function, parameters or columns of the primary vindex.
    PrimaryVindex,
    /// Vindexes beside the primary one.
    SecondaryVindexes,
    /// Lookup vindexes that writes maintain.
    OwnedVindexes,
    /// `auto_increment`.
    AutoIncrement,
    /// Type or collation of a sharding column.
    ShardingColumnType,
    /// Where the sharding columns are in rows of an INSERT without column list.
    ShardingColumnPosition,
    /// Other columns, or whether the list is complete.
    Columns,
    /// Routing rules; what that means for names is told with those.
    RoutingRules,
    /// The table that a name means.
    NameTarget,
    /// A name that means no table any more.
    NameRemoved,
    /// Something that this comparison does not know.
    Unknown,
}

/// One difference between two VSchemas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub change: Change,
    /// What that means.
    pub class: ChangeClass,
    /// What it is about: a keyspace, a table, a name.
    pub subject: String,
    /// The tables whose rows are concerned, as far as they are listed.
    pub tables: Vec<TableName>,
    /// How the two differ.
    pub what: String,
}

impl Difference {
    /// What would go wrong.
    pub fn why(&self) -> &'static str {
        match (self.class, self.change) {
            (ChangeClass::Metadata | ChangeClass::ReadRoute, _) => "every row keeps its home",
            (ChangeClass::WriteUpkeep, _) => {
                "rows written under the one would lack what the other reads"
            }
            (ChangeClass::Removal, _) => "statements that work now would be refused",
            (ChangeClass::Placement, Change::NameTarget) => {
                "statements would read and write the rows of another table"
            }
            (ChangeClass::Placement, _) => {
                "rows that are there would not be found, and rows of one key written to two places"
            }
            (ChangeClass::Residency, _) => "rows could leave the regions that they must stay in",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}: {}\n   = note: {}", self.subject, self.what, self.why())
    }
}

/// The differences as text, with their count and advice at the end.
pub fn render_differences(differences: &[Difference], advice: &str) -> String {
    let mut text = String::new();
    for difference in differences {
        // Writing into memory cannot fail.
        let _ = writeln!(text, "{difference}\n");
    }
    let count = differences.len();
    let plural = if count == 1 { "" } else { "s" };
    let _ = writeln!(text, "{count} difference{plural}; {advice}");
    text
}
