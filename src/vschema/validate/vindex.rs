//! One entry of `vindexes`: its type and parameters.

use std::collections::BTreeMap;

use super::{place_of, text_of};
use crate::vschema::problem::{Place, Problems, nearest};
use crate::vschema::raw::RawVindex;
use crate::vschema::table::NamedVindex;
use crate::vschema::vindex::{Params, ReadFile, TYPES, Vindex};

pub(super) fn build(
    name: &str,
    raw: &RawVindex,
    read_file: ReadFile<'_>,
    problems: &mut Problems,
) -> Option<NamedVindex> {
    let type_name = text_of(raw.type_name.as_ref());
    let written: BTreeMap<String, String> =
        raw.params.iter().map(|(param, value)| (param.value.clone(), value.clone())).collect();
    let place_of_param = |param: &str| -> &Place {
        let written = raw.params.iter().find(|(written, _)| written.value == param);
        written.map_or(&raw.place, |(written, _)| &written.place)
    };
    let mut params = Params::new(name, &written, read_file);
    let vindex = match Vindex::create(type_name, &mut params) {
        Ok(Some(vindex)) => vindex,
        Ok(None) => {
            let advice = match nearest(type_name, TYPES.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("write one of {}", TYPES.join(", ")),
            };
            let place = place_of(raw.type_name.as_ref(), &raw.place);
            problems.mistake(place, format!("vindexType \"{type_name}\" not found"), advice);
            return None;
        }
        Err(problem) => {
            let place = problem.param.as_deref().map_or(&raw.place, place_of_param);
            problems.mistake(place, problem.what, problem.advice);
            return None;
        }
    };
    let (unknown, known) = params.unknown();
    for param in unknown {
        let what = format!("vindex type '{type_name}' has no parameter '{param}'");
        let advice = match nearest(param, known.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None if known.is_empty() => "remove it: the type takes no parameters".to_owned(),
            None => format!("known here: {}", known.join(", ")),
        };
        problems.mistake(place_of_param(param), what, advice);
    }
    if let (Some(owner), None) = (&raw.owner, vindex.lookup()) {
        let what = format!("owner has no effect: '{name}' is not a lookup vindex");
        problems.warning(&owner.place, what, "remove it");
    }
    Some(NamedVindex {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        vindex,
        params: written,
        owner: raw.owner.as_ref().map(|owner| owner.value.clone()),
    })
}
