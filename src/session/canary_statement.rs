//! SHOW VSCHEMA, SHOW CANARY, SET CANARY PERCENT and SET vschema_generation: the VSchema in
//! service, seen and changed over SQL.

use crate::canary::{Actor, Preference, Weight};
use crate::clock;
use crate::error::{SqlError, catalog};
use crate::sql::control::set::{Scope, Set, SetItem, SetValue};
use crate::sql::control::show::{Show, ShowKind};
use crate::sql::value::Value;

use super::Services;
use super::show_vschema::{self, Listing};
use super::state::State;

/// What a SET is about, if it is about the VSchema in service.
#[derive(Clone, Copy, Debug)]
pub(super) enum GenerationSetting<'a> {
    /// SET CANARY PERCENT.
    Percent(&'a SetValue),
    /// SET vschema_generation.
    Preference(&'a SetValue),
}

impl<'a> GenerationSetting<'a> {
    /// Recognises the whole statement.
    pub(super) fn of(set: &'a Set) -> Option<Self> {
        match &set.items[..] {
            [SetItem::CanaryPercent(value)] => Some(Self::Percent(value)),
            [SetItem::System { scope: Scope::Session | Scope::Unscoped, name, value, .. }]
                if name == "vschema_generation" =>
            {
                Some(Self::Preference(value))
            }
            _ => None,
        }
    }
}

/// The rows of a SHOW that is about the VSchema in service; `None` for any other.
pub(super) fn listing(
    services: &Services,
    state: &mut State,
    show: &Show,
) -> Result<Option<Listing>, SqlError> {
    let listed = matches!(
        show.kind,
        ShowKind::VschemaTables
            | ShowKind::VschemaVindexes
            | ShowKind::VschemaKeyspaces
            | ShowKind::VschemaHistory
            | ShowKind::Canary
    );
    if !listed {
        return Ok(None);
    }
    if show.like.is_some() || show.filter.is_some() || show.rest.is_some() {
        return Err(
            catalog::UNSUPPORTED.advising(&[&"LIKE and WHERE in this SHOW"], "leave them out")
        );
    }
    let generation = state.generation.hold(&services.serving)?.clone();
    let vschema = generation.vschema();
    let named = show.database.as_ref().map(|name| name.text.as_str());
    let keyspace = named.or(state.target.keyspace.as_deref());
    Ok(Some(match (show.kind, &show.object) {
        (ShowKind::VschemaTables, _) => show_vschema::tables(vschema, keyspace)?,
        (ShowKind::VschemaVindexes, Some(table)) => {
            show_vschema::vindexes_of(vschema, keyspace, &table.text)?
        }
        (ShowKind::VschemaVindexes, None) => show_vschema::vindexes(vschema),
        (ShowKind::VschemaKeyspaces, _) => show_vschema::keyspaces(vschema),
        (ShowKind::VschemaHistory, _) => {
            let steward = &services.steward;
            let (status, versions) = (steward.status(), steward.history());
            let draft = status.draft.as_ref().map(|draft| (draft, steward.path()));
            show_vschema::history(draft, &versions, status.state.active)
        }
        _ => show_vschema::canary(&services.serving.load()),
    }))
}

/// Does what a [`GenerationSetting`] says.
pub(super) fn set_generation(
    services: &Services,
    state: &mut State,
    setting: GenerationSetting<'_>,
) -> Result<(), SqlError> {
    match setting {
        GenerationSetting::Percent(value) => set_canary_percent(services, state, value),
        GenerationSetting::Preference(value) => {
            let preference = match value {
                SetValue::Default => Some(Preference::Auto),
                SetValue::Word(word) => Preference::parse(word),
                SetValue::Literal(Value::Text(text)) => {
                    std::str::from_utf8(text).ok().and_then(Preference::parse)
                }
                _ => None,
            };
            let wrong = || {
                let text = "use 'auto', 'stable' or 'candidate'";
                catalog::UNSUPPORTED_SETTING.with(&[&"vschema_generation", &text])
            };
            state.generation.prefer(preference.ok_or_else(wrong)?);
            Ok(())
        }
    }
}

fn set_canary_percent(
    services: &Services,
    state: &State,
    value: &SetValue,
) -> Result<(), SqlError> {
    let user = &state.login.user;
    if !services.accounts.load().is_operator(user) {
        return Err(catalog::NOT_OPERATOR.with(&[user]));
    }
    let text = match value {
        SetValue::Literal(Value::Int(number)) => number.to_string(),
        SetValue::Literal(Value::UInt(number)) => number.to_string(),
        SetValue::Literal(Value::Decimal(text) | Value::Text(text)) => {
            String::from_utf8_lossy(text).into_owned()
        }
        SetValue::Word(word) => word.clone(),
        _ => String::new(),
    };
    let weight =
        Weight::parse_percent(&text).map_err(|error| catalog::INVALID_PERCENT.with(&[&error]))?;
    let actor = Actor { name: format!("user '{user}'"), at: clock::unix_seconds() };
    let set = services.steward.set_weight(weight, &actor);
    set.map(|_| ()).map_err(|error| catalog::VSCHEMA_CHANGE_REFUSED.with(&[&error]))
}
