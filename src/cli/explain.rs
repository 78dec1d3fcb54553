//! `geogate explain`: plans statements offline, without a server.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value as Json, json};

use crate::config::ReferenceCopies;
use crate::engine::bindings::BoundStatement;
use crate::engine::capacity::Zero;
use crate::engine::describe::{describe, routes};
use crate::engine::plan::Primitive;
use crate::engine::plan::{ClientCharset, Plan, Resolution};
use crate::error::{SqlError, catalog};
use crate::key::{Destination, KeyRange, KeyspaceId, ShardMap};
use crate::planner::input::{NoColumns, PlanInput, Target};
use crate::planner::{plan, plan_unparsed, unread};
use crate::sql::control::use_target::{TargetPlace, TargetRole};
use crate::sql::mode::LexMode;
use crate::sql::parse::parse;
use crate::sql::scan::Scan;
use crate::vschema::{Severity, Sources, Strictness, TabletType, VSchema, render_text};

/// Arguments of `geogate explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: geogate explain --vschema vschema --database shop \
    \"SELECT name FROM customer WHERE id = 5\"")]
pub struct Args {
    /// VSchema folder or file
    #[arg(long, default_value = "vschema")]
    vschema: PathBuf,
    /// What the session uses: KEYSPACE[:SHARD][@TYPE]
    #[arg(long)]
    database: Option<String>,
    /// Shards of a keyspace, KEYSPACE=-80,80- (may be repeated)
    #[arg(long)]
    shards: Vec<String>,
    /// text or json
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Read lines {"id":..,"sql":..} from this file, - for standard input
    #[arg(long)]
    input: Option<PathBuf>,
    /// Route as Vitess does, without knowing column types
    #[arg(long)]
    lenient: bool,
    /// The statement
    #[arg(required_unless_present = "input")]
    sql: Option<String>,
}

/// How to print plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// An indented tree.
    Text,
    /// One JSON object a line.
    Json,
}

/// Exit code 0: all planned, 1: not all, 2: unreadable input.
pub fn run(args: &Args) -> ExitCode {
    explain(args).unwrap_or_else(|why| {
        complain!("error: {why}");
        ExitCode::from(2)
    })
}

fn explain(args: &Args) -> Result<ExitCode, String> {
    let explainer = Explainer::new(args)?;
    let mut failed = false;
    let mut out = std::io::stdout().lock();
    // Whether somebody reads on.
    let mut print = |id: Option<Json>, sql: &str| -> Result<bool, String> {
        let (line, fine) = explainer.line(args.format, id, sql);
        failed |= !fine;
        match writeln!(out, "{line}") {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
            written => written.map(|()| true).map_err(|cause| cause.to_string()),
        }
    };
    if let Some(sql) = &args.sql {
        print(None, sql)?;
    }
    if let Some(path) = &args.input {
        for line in open(path)?.lines() {
            let line = line.map_err(|cause| cause.to_string())?;
            if line.trim().is_empty() {
                continue;
            }
            let case: Json = serde_json::from_str(&line).map_err(|why| why.to_string())?;
            let sql = case["sql"].as_str().ok_or("a line has no \"sql\"")?;
            if !print(Some(case["id"].clone()), sql)? {
                break;
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(u8::from(failed)))
}

fn open(path: &PathBuf) -> Result<Box<dyn BufRead>, String> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = std::fs::File::open(path)
        .map_err(|cause| format!("cannot read {}: {cause}", path.display()))?;
    Ok(Box::new(std::io::BufReader::new(file)))
}

/// Plans statements against one VSchema.
#[derive(Debug)]
pub struct Explainer {
    vschema: VSchema,
    target: Target,
    strictness: Strictness,
    shards: Vec<(String, ShardMap)>,
}

impl Explainer {
    fn new(args: &Args) -> Result<Self, String> {
        let strictness = if args.lenient { Strictness::Lenient } else { Strictness::Strict };
        let sources = Sources::read(&args.vschema).map_err(|why| why.to_string())?;
        let explainer = Self::with_sources(&sources, args.database.as_deref(), strictness)?;
        let shards: Result<_, String> = args.shards.iter().map(|text| parse_shards(text)).collect();
        Ok(Self { shards: shards?, ..explainer })
    }

    /// For sessions aimed at `database` (`keyspace[:shard][@type]`). Every sharded keyspace has the
    /// shards -80 and 80-.
    pub fn with_sources(
        sources: &Sources,
        database: Option<&str>,
        strictness: Strictness,
    ) -> Result<Self, String> {
        let validated = sources.validate(strictness);
        let Some(vschema) = validated.vschema else {
            let errors: Vec<_> = validated
                .problems
                .into_iter()
                .filter(|problem| problem.severity == Severity::Error)
                .collect();
            return Err(render_text(&errors));
        };
        let target = match database {
            None => Target::default(),
            Some(text) => parse_target(text)?,
        };
        Ok(Self { vschema, target, strictness, shards: Vec::new() })
    }

    /// The plan as an indented tree and its shards, or the error.
    pub fn text(&self, sql: &str) -> String {
        self.line(Format::Text, None, sql).0
    }

    fn line(&self, format: Format, id: Option<Json>, sql: &str) -> (String, bool) {
        let mode = LexMode::default();
        let mut scan = Scan::new();
        let outcome = scan
            .run(sql.as_bytes(), mode)
            .map_err(|why| catalog::SYNTAX.with(&[&why]))
            .and_then(|()| self.plan(sql, mode, &scan));
        let statement = BoundStatement {
            text: sql.as_bytes(),
            scan: &scan,
            mode,
            charset: ClientCharset::Utf8,
            parameters: &[],
            zero: Zero::Numbered,
            session: &[],
        };
        match outcome {
            Ok(plan) => (self.planned(format, id, &plan, &statement), true),
            Err(error) => (refused(format, id, &error), false),
        }
    }

    fn plan(&self, sql: &str, mode: LexMode, scan: &Scan) -> Result<Plan, SqlError> {
        let input = PlanInput {
            text: sql.as_bytes(),
            scan,
            mode,
            reference_copies: ReferenceCopies::Kept,
            vschema: &self.vschema,
            target: &self.target,
            strictness: self.strictness,
            columns: &NoColumns,
        };
        match parse(sql.as_bytes(), mode, scan) {
            Ok(statement) => plan(&statement, &input),
            Err(why) => plan_unparsed(&input)
                .map_err(|unplanned| unplanned.or_else(|| unread(&why, scan.kind()))),
        }
    }

    fn planned(
        &self,
        format: Format,
        id: Option<Json>,
        plan: &Plan,
        statement: &BoundStatement<'_>,
    ) -> String {
        let tree = describe(plan, statement);
        let shards = self.shard_names(plan, statement);
        if format == Format::Text {
            return format!("{}shards: {shards}", tree.to_text());
        }
        let routes: Vec<Json> = routes(plan, statement).iter().map(|r| r.to_json()).collect();
        let mut answer = json!({"routes": routes, "plan": tree.to_json(), "shards": shards});
        if let Some(id) = id {
            answer["id"] = id;
        }
        answer.to_string()
    }

    /// The shards that the statement goes to with its literals.
    fn shard_names(&self, plan: &Plan, statement: &BoundStatement<'_>) -> String {
        let route = match &plan.root {
            Primitive::Route(route) => route,
            Primitive::Merge(merge) => &merge.route,
            Primitive::NextValue(_) => return "one".to_owned(),
        };
        let map = self.shard_map(&route.keyspace);
        match route.routing.resolve(statement, &map, &[]) {
            Resolution::Shards(parts) => {
                let names: Vec<&str> = parts.iter().map(|part| map.name(part.shard)).collect();
                names.join(" ")
            }
            Resolution::AnyShard => "any".to_owned(),
            Resolution::AllShards => "all".to_owned(),
            Resolution::Unusable(why) if plan.otherwise.is_some() => format!("all; {why}"),
            Resolution::Unusable(why) => format!("none; {why}"),
        }
    }

    fn shard_map(&self, keyspace: &str) -> ShardMap {
        if let Some((_, map)) = self.shards.iter().find(|(name, _)| name == keyspace) {
            return map.clone();
        }
        let sharded = self.vschema.keyspace(keyspace).is_some_and(|k| k.is_sharded());
        let halves = || ShardMap::new(&["-80", "80-"]).unwrap_or_else(|_| ShardMap::unsharded());
        if sharded { halves() } else { ShardMap::unsharded() }
    }
}

fn refused(format: Format, id: Option<Json>, error: &SqlError) -> String {
    if format == Format::Text {
        return error.to_string();
    }
    let mut answer = json!({"error": {
        "code": error.id,
        "errno": error.errno,
        "sqlstate": String::from_utf8_lossy(&error.sqlstate),
        "message": String::from_utf8_lossy(&error.message),
    }});
    if let Some(id) = id {
        answer["id"] = id;
    }
    answer.to_string()
}

fn parse_target(text: &str) -> Result<Target, String> {
    let parsed: crate::sql::control::use_target::Target =
        text.parse().map_err(|why| format!("--database: {why}"))?;
    let bound = |bytes: &[u8]| Some(KeyspaceId::new(bytes));
    let destination = match parsed.place {
        TargetPlace::Routed => None,
        TargetPlace::Shard(name) => Some(Destination::Shard(name)),
        TargetPlace::KeyspaceId(id) => Some(Destination::KeyspaceId(KeyspaceId::new(&id))),
        TargetPlace::Range { start, end } => Some(Destination::KeyRange(
            KeyRange::new(bound(&start), bound(&end)).map_err(|why| why.to_string())?,
        )),
    };
    let tablet_type = match parsed.role {
        None | Some(TargetRole::Primary) => TabletType::Primary,
        Some(TargetRole::Replica) => TabletType::Replica,
        Some(TargetRole::ReadOnly) => TabletType::Rdonly,
    };
    Ok(Target { keyspace: parsed.keyspace.map(Into::into), destination, tablet_type })
}

fn parse_shards(text: &str) -> Result<(String, ShardMap), String> {
    let (keyspace, names) =
        text.split_once('=').ok_or_else(|| format!("--shards {text}: write KEYSPACE=-80,80-"))?;
    let names: Vec<&str> = names.split(',').collect();
    let map = ShardMap::new(&names).map_err(|why| format!("--shards {keyspace}: {why}"))?;
    Ok((keyspace.to_owned(), map))
}
