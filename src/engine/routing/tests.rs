//! Goal: values reach the right shards, each item of a list once, and doubtful values reach none.
//! Method: finders over `numeric`, whose keyspace ids are the numbers themselves.

use std::collections::BTreeMap;

use super::*;
use crate::engine::fake::Values;

const BIGINT: ColumnKind = ColumnKind::Integer { min: i64::MIN as i128, max: i64::MAX as i128 };

fn named(vindex: Vindex) -> Arc<NamedVindex> {
    let name = "v".to_owned();
    let type_name = name.clone();
    Arc::new(NamedVindex { name, type_name, vindex, params: BTreeMap::new(), owner: None })
}

fn finder(purpose: Purpose, operands: Operands) -> VindexFinder {
    let (kind, input) = (BIGINT, VindexInput::Number);
    let column = VindexColumn { kind, input, capacity: Capacity::default() };
    let columns = SmallVec::from_iter([column]);
    VindexFinder { vindex: named(Vindex::Numeric), columns, purpose, operands }
}

fn shards() -> ShardMap {
    ShardMap::new(&["-0000000000000064", "0000000000000064-"]).expect("two shards")
}

fn resolve(operands: Operands, values: Vec<Value<'static>>) -> Resolution {
    let routing = Routing::vindex(Opcode::In, finder(Purpose::Compare, operands));
    routing.resolve(&Values(values), &shards(), &[])
}

fn parts(resolution: Resolution) -> Vec<(usize, Option<Vec<u32>>)> {
    match resolution {
        Resolution::Shards(parts) => parts.into_iter().map(|p| (p.shard, p.items)).collect(),
        other => panic!("{other:?}"),
    }
}

fn equal(value: RoutingValue) -> Operands {
    Operands::Equal(SmallVec::from_iter([value]))
}

#[test]
fn one_value_has_one_shard() {
    let shard = |value| parts(resolve(equal(RoutingValue::Hole(0)), vec![value]));
    assert_eq!(shard(Value::Int(99)), [(0, None)]);
    assert_eq!(shard(Value::UInt(100)), [(1, None)]);
    assert_eq!(shard(Value::Text(b"100".as_slice().into())), [(1, None)]);
    let null = resolve(equal(RoutingValue::Hole(0)), vec![Value::Null]);
    assert!(matches!(null, Resolution::AnyShard));
}

#[test]
fn values_without_a_shard_are_unusable() {
    for value in [Value::Int(-1), Value::Text(b"1x".as_slice().into()), Value::Float(1.5)] {
        let resolution = resolve(equal(RoutingValue::Hole(0)), vec![value]);
        assert!(matches!(resolution, Resolution::Unusable(_)), "{resolution:?}");
    }
    let negative = resolve(equal(RoutingValue::Negative(0)), vec![Value::Int(5)]);
    assert!(matches!(negative, Resolution::Unusable(_)), "numeric has no negative ids");
}

#[test]
fn lists_are_cut() {
    let list = (0..4).map(RoutingValue::Hole).collect();
    let values = vec![Value::Int(200), Value::Int(1), Value::Null, Value::Int(300)];
    let found = parts(resolve(Operands::List(list), values));
    assert_eq!(found, [(0, Some(vec![1])), (1, Some(vec![0, 3]))]);
}

#[test]
fn between_takes_neighbours() {
    let between = || Operands::Between(RoutingValue::Hole(0), RoutingValue::Hole(1));
    let found = |low, high| resolve(between(), vec![Value::Int(low), Value::Int(high)]);
    assert_eq!(parts(found(1, 200)), [(0, None), (1, None)]);
    assert_eq!(parts(found(100, 200)), [(1, None)]);
    assert!(matches!(found(200, 1), Resolution::AnyShard), "an empty range");
}

#[test]
fn rows_of_an_insert_need_a_shard_each() {
    let rows = |count: u32| {
        let row = |hole| SmallVec::from_iter([RoutingValue::Hole(hole)]);
        Operands::Rows((0..count).map(row).collect())
    };
    let insert = |operands, values, generated: &[u64]| {
        let routing = Routing::vindex(Opcode::EqualUnique, finder(Purpose::Store, operands));
        routing.resolve(&Values(values), &shards(), generated)
    };
    let found = insert(rows(3), vec![Value::Int(1), Value::Int(500), Value::Int(2)], &[]);
    assert_eq!(parts(found), [(0, Some(vec![0, 2])), (1, Some(vec![1]))]);
    let null = insert(rows(2), vec![Value::Int(1), Value::Null], &[]);
    assert!(matches!(null, Resolution::Unusable(_)));
    let row = |row| SmallVec::from_iter([RoutingValue::Generated(row, Some(row))]);
    let operands = Operands::Rows(vec![row(0), row(1)]);
    let found = insert(operands, vec![Value::Null, Value::Int(5)], &[700, 0]);
    assert_eq!(parts(found), [(0, Some(vec![1])), (1, Some(vec![0]))]);
}

#[test]
fn agreement_is_checked_when_values_are_known() {
    let one = |hole| finder(Purpose::Compare, equal(RoutingValue::Hole(hole)));
    let routing = Routing::agreed(vec![one(0), one(1)]);
    assert!(routing.is_single_shard());
    let found = |a, b| routing.resolve(&Values(vec![a, b]), &shards(), &[]);
    assert_eq!(parts(found(Value::Int(1), Value::Int(2))), [(0, None)]);
    assert_eq!(parts(found(Value::Null, Value::Int(200))), [(1, None)]);
    assert!(matches!(found(Value::Int(1), Value::Int(200)), Resolution::Unusable(_)));
}

#[test]
fn too_many_combinations_ask_every_shard() {
    let many = || (0..100).map(|_| RoutingValue::Constant(1)).collect::<Vec<_>>();
    let resolution = resolve(Operands::Product(vec![many(), many()]), vec![]);
    assert_eq!(parts(resolution), [(0, None), (1, None)]);
}
