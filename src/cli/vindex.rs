//! `geogate vindex`: from values to keyspace ids and shards, and test vectors.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::key::{KeyspaceId, ShardMap};
use crate::sql::value::Value;
use crate::vschema::vindex::{Mapping, vectors};
use crate::vschema::{NamedVindex, Severity, Sources, Strictness, render_text};

/// Arguments of `geogate vindex`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: geogate vindex --vschema vschema shop.hash 1 2 NULL\n\
    Values: 42, 'text', 0xFF, NULL; the columns of a multi-column vindex with commas: 1,42")]
pub struct Args {
    /// Run test vectors from this file (one JSON object a line)
    #[arg(long, conflicts_with_all = ["vschema", "name", "values"])]
    vectors: Option<PathBuf>,
    /// VSchema folder or file
    #[arg(long, required_unless_present = "vectors")]
    vschema: Option<PathBuf>,
    /// Shards of the keyspace
    #[arg(long, value_delimiter = ',', default_value = "-80,80-", allow_hyphen_values = true)]
    shards: Vec<String>,
    /// Accept the mistakes that Vitess accepts
    #[arg(long)]
    lenient: bool,
    /// KEYSPACE.VINDEX
    #[arg(required_unless_present = "vectors")]
    name: Option<String>,
    /// Values to map
    #[arg(required_unless_present = "vectors", allow_negative_numbers = true)]
    values: Vec<String>,
}

/// Exit code 0: all mapped or passed, 1: not all, 2: unreadable input.
pub fn run(args: &Args) -> ExitCode {
    let outcome = match (&args.vectors, &args.vschema, &args.name) {
        (Some(file), ..) => run_vectors(file),
        (None, Some(path), Some(name)) => map_values(args, path, name),
        _ => Err("give --vectors FILE, or --vschema PATH KEYSPACE.VINDEX VALUE".to_owned()),
    };
    outcome.unwrap_or_else(|why| {
        complain!("error: {why}");
        ExitCode::from(2)
    })
}

fn run_vectors(file: &Path) -> Result<ExitCode, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|cause| format!("cannot read {}: {cause}", file.display()))?;
    let read_file = |path: &str| std::fs::read_to_string(path).map_err(|cause| cause.to_string());
    let report = vectors::run(&text, &read_file);
    for failure in &report.failures {
        say!("{failure}");
    }
    say!("{} passed, {} failed", report.passed, report.failures.len());
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn map_values(args: &Args, path: &Path, name: &str) -> Result<ExitCode, String> {
    let shards = ShardMap::new(&args.shards).map_err(|error| error.to_string())?;
    let strictness = if args.lenient { Strictness::Lenient } else { Strictness::Strict };
    let vindex = find(path, name, strictness)?;
    let mut exit = ExitCode::SUCCESS;
    for written in &args.values {
        let columns = if vindex.vindex.is_multi_column() {
            written.split(',').map(parse_value).collect::<Vec<_>>()
        } else {
            vec![parse_value(written)]
        };
        match vindex.vindex.map(&columns) {
            Ok(mapping) => say!("{written} -> {}", describe(&mapping, &shards)),
            Err(why) => {
                say!("{written} -> error: {why}");
                exit = ExitCode::from(1);
            }
        }
    }
    Ok(exit)
}

fn find(path: &Path, name: &str, strictness: Strictness) -> Result<Arc<NamedVindex>, String> {
    let sources = Sources::read(path).map_err(|error| error.to_string())?;
    let validated = sources.validate(strictness);
    let Some(vschema) = validated.vschema else {
        let errors = validated.problems.into_iter().filter(|p| p.severity == Severity::Error);
        return Err(format!(
            "the VSchema has errors\n{}",
            render_text(&errors.collect::<Vec<_>>())
        ));
    };
    let (keyspace, vindex) = name.split_once('.').ok_or("write KEYSPACE.VINDEX")?;
    let keyspace = vschema.keyspace(keyspace).ok_or(format!("no keyspace '{keyspace}'"))?;
    let found = keyspace.vindex(vindex).cloned();
    found.ok_or_else(|| {
        let known: Vec<_> = keyspace.vindexes().map(|vindex| vindex.name.as_str()).collect();
        format!(
            "keyspace '{}' has no vindex '{vindex}'; it has {}",
            keyspace.name(),
            known.join(", ")
        )
    })
}

fn describe(mapping: &Mapping, shards: &ShardMap) -> String {
    let names: Vec<_> =
        mapping.shards(shards).into_iter().map(|shard| shards.name(shard)).collect();
    let names = names.join(",");
    match mapping {
        Mapping::None => "no shard".to_owned(),
        Mapping::AllShards => format!("every shard -> {names}"),
        Mapping::KeyspaceId(id) => format!("{id} -> {names}"),
        Mapping::KeyRange(range) => format!("[{range}] -> {names}"),
    }
}

fn parse_value(written: &str) -> Value<'_> {
    let quoted = written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    if let Some(text) = quoted {
        return Value::Text(Cow::Borrowed(text.as_bytes()));
    }
    if let Some(bytes) = written.strip_prefix("0x").and_then(KeyspaceId::from_hex) {
        return Value::Bytes(Cow::Owned(bytes.as_bytes().to_vec()));
    }
    if written.eq_ignore_ascii_case("null") {
        return Value::Null;
    }
    let signed = written.parse().map(Value::Int).ok();
    let number = signed.or_else(|| written.parse().map(Value::UInt).ok());
    number.unwrap_or(Value::Text(Cow::Borrowed(written.as_bytes())))
}
