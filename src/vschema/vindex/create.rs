//! From a vindex' type name and parameters to the function.

use super::{
    Cfc, Hash, Lookup, LookupKind, MultiCol, NumericStaticMap, ParamProblem, Params,
    RegionExperimental, RegionJson, Vindex,
};

/// Every type name, sorted.
pub const TYPES: &[&str] = &[
    "binary",
    "binary_md5",
    "cfc",
    "consistent_lookup",
    "consistent_lookup_unique",
    "hash",
    "lookup",
    "lookup_cost",
    "lookup_hash",
    "lookup_hash_unique",
    "lookup_unicodeloosemd5_hash",
    "lookup_unicodeloosemd5_hash_unique",
    "lookup_unique",
    "multicol",
    "null",
    "numeric",
    "numeric_static_map",
    "region_experimental",
    "region_json",
    "reverse_bits",
    "unicode_loose_md5",
    "unicode_loose_xxhash",
    "xxhash",
];

impl Vindex {
    /// The vindex of this type with these parameters. `Ok(None)`: there is no such type.
    pub fn create(type_name: &str, params: &mut Params<'_>) -> Result<Option<Self>, ParamProblem> {
        Ok(Some(match type_name {
            "binary" => Vindex::Binary,
            "binary_md5" => Vindex::BinaryMd5,
            "cfc" => Vindex::Cfc(Cfc::new(params)?),
            "hash" => Vindex::Hash(Hash::new()),
            "multicol" => Vindex::MultiCol(MultiCol::new(params)?),
            "null" => Vindex::Null,
            "numeric" => Vindex::Numeric,
            "numeric_static_map" => Vindex::NumericStaticMap(NumericStaticMap::new(params)?),
            "region_experimental" => Vindex::RegionExperimental(RegionExperimental::new(params)?),
            "region_json" => Vindex::RegionJson(RegionJson::new(params)?),
            "reverse_bits" => Vindex::ReverseBits,
            "unicode_loose_md5" => Vindex::UnicodeLooseMd5,
            "unicode_loose_xxhash" => Vindex::UnicodeLooseXxHash,
            "xxhash" => Vindex::XxHash,
            _ => match LookupKind::parse(type_name) {
                Some(kind) => Vindex::Lookup(Lookup::new(kind, params)?),
                None => return Ok(None),
            },
        }))
    }
}
