//! Routing rules; and the rules that are not implemented yet, which are refused.

use super::split_name;
use crate::vschema::decode::Spot;
use crate::vschema::model::{Keyspace, VSchema};
use crate::vschema::problem::Problems;
use crate::vschema::raw::{RawMove, RawRoutingRule, RawVSchema};
use crate::vschema::resolve::RuleTarget;
use crate::vschema::table::TableName;

pub(super) fn build(raw: &RawVSchema, vschema: &mut VSchema, problems: &mut Problems) {
    for rule in &raw.routing {
        let Some(from) = rule.from.as_ref().filter(|from| !from.value.is_empty()) else {
            problems.mistake(&rule.place, "routing rule without from_table", "add it");
            continue;
        };
        check_from(from, vschema, problems);
        let target = if vschema.names.rules.contains_key(&from.value) {
            let what = format!("duplicate rule for entry {}", from.value);
            problems.mistake(&from.place, &what, "remove one of the two");
            RuleTarget::Broken(what)
        } else {
            target(rule, from, vschema, problems)
        };
        vschema.names.rules.insert(from.value.clone(), target);
    }
    check_chains(raw, vschema, problems);
    refuse_moves("shard routing rules", &raw.shard_routing, problems);
    refuse_moves("keyspace routing rules", &raw.keyspace_routing, problems);
    for rule in raw.mirror.iter().filter(|rule| rule.percent > 0.0) {
        let what = "mirror rules are not implemented yet";
        problems.mistake(&rule.place, what, "set percent to 0, or remove the rule");
    }
}

fn target(
    rule: &RawRoutingRule,
    from: &Spot<String>,
    vschema: &VSchema,
    problems: &mut Problems,
) -> RuleTarget {
    let to = match rule.to.as_slice() {
        [] => return RuleTarget::Disabled,
        [to] => to,
        [_, second, ..] => {
            let all: Vec<_> = rule.to.iter().map(|to| to.value.as_str()).collect();
            let what = format!("table {} has more than one target: {all:?}", from.value);
            problems.mistake(&second.place, &what, "keep one target");
            return RuleTarget::Broken(what);
        }
    };
    let broken = |problems: &mut Problems, what: String, advice: String| {
        problems.mistake(&to.place, &what, advice);
        RuleTarget::Broken(what)
    };
    let (keyspace, name) = match split_name(&to.value) {
        Err(what) => return broken(problems, what, "write keyspace.table".to_owned()),
        Ok((None, _)) => {
            let what = format!("table {} must be qualified", to.value);
            return broken(problems, what, "write keyspace.table".to_owned());
        }
        Ok((Some(keyspace), name)) => (keyspace, name),
    };
    let Some(home) = vschema.keyspace(keyspace) else {
        let near = problems.nearest(keyspace, vschema.keyspaces().map(Keyspace::name));
        let advice = near.map(|near| format!("did you mean '{near}'?")).unwrap_or_default();
        return broken(problems, format!("unknown database '{keyspace}' in vschema"), advice);
    };
    if home.is_sharded() && home.table(name).is_none() {
        let advice = format!("add the table to keyspace '{keyspace}', or correct the target");
        return broken(problems, format!("table {} not found", to.value), advice);
    }
    RuleTarget::Table(TableName { keyspace: keyspace.to_owned(), name: name.to_owned() })
}

fn check_from(from: &Spot<String>, vschema: &VSchema, problems: &mut Problems) {
    let (name, suffix) = match from.value.split_once('@') {
        Some((name, suffix)) => (name, Some(suffix)),
        None => (from.value.as_str(), None),
    };
    let types = ["primary", "replica", "rdonly"];
    if let Some(suffix) = suffix.filter(|suffix| !types.contains(suffix)) {
        let what = format!("invalid tablet type: '{suffix}'");
        problems.mistake(&from.place, what, "write @primary, @replica or @rdonly");
    }
    match split_name(name) {
        Err(what) => problems.mistake(&from.place, what, "write [keyspace.]table[@type]"),
        Ok((Some(keyspace), _)) if vschema.keyspace(keyspace).is_none() => {
            let what = format!("the rule can never apply: there is no keyspace '{keyspace}'");
            problems.mistake(&from.place, what, "correct the keyspace, or remove the rule");
        }
        Ok(_) => {}
    }
}

/// Rules are followed once: a target with a rule of its own is not followed further.
fn check_chains(raw: &RawVSchema, vschema: &VSchema, problems: &mut Problems) {
    for rule in &raw.routing {
        let (Some(from), [to]) = (&rule.from, rule.to.as_slice()) else { continue };
        let target = |name: &str| vschema.names.rules.get(name);
        let (Some(RuleTarget::Table(own)), Some(next)) = (target(&from.value), target(&to.value))
        else {
            continue;
        };
        if !matches!(next, RuleTarget::Table(next) if next == own) {
            let what = format!("the rule for {} is not followed from here", to.value);
            problems.mistake(&to.place, what, "name the final target");
        }
    }
}

fn refuse_moves(kind: &str, rules: &[RawMove], problems: &mut Problems) {
    for rule in rules {
        let name = |spot: &Option<Spot<String>>| spot.as_ref().map(|spot| spot.value.clone());
        if name(&rule.from) != name(&rule.to) {
            let what = format!("{kind} are not implemented yet");
            problems.mistake(&rule.place, what, "remove the rule; it would be ignored");
        }
    }
}
