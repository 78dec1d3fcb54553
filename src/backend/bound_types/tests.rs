//! The states that executions bring a statement into, as tables.

use super::*;

fn mysql() -> ServerKind {
    ServerKind::parse(b"9.7.4")
}

type Derived = Option<Box<[BinaryType]>>;

fn text_parameter() -> Derived {
    [BinaryType::signed(ColumnType::VarString)].to_vec().into_boxed_slice().into()
}

fn integer_parameter() -> Derived {
    [BinaryType::signed(ColumnType::LongLong)].to_vec().into_boxed_slice().into()
}

/// What each execution needs, in short: the states before and after, those of its own numbered as
/// they come, and `fresh` or `home`.
fn needs(mut types: BoundTypes, executions: &[&[ValueKind]]) -> Vec<String> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut state = |variant: &Variant| match variant {
        Variant::AsPrepared => "prepared".to_owned(),
        Variant::Bound(kinds) => format!("{:?}", kinds.as_slice()),
        Variant::Own(number) => {
            let known = numbers.iter().position(|known| known == number);
            let at = known.unwrap_or(numbers.len());
            if known.is_none() {
                numbers.push(*number);
            }
            format!("own {}", at + 1)
        }
    };
    let mut all = Vec::new();
    for kinds in executions {
        let need = types.bind_kinds(kinds.iter().copied().collect()).clone();
        let fresh = if need.fresh == Fresh::WillDo { "fresh" } else { "home" };
        all.push(format!("{} > {}, {fresh}", state(&need.before), state(&need.after)));
        types.note_executed();
    }
    all
}

#[test]
fn values_of_the_derived_type_change_nothing() {
    use ValueKind as Kind;
    let types = BoundTypes::new(&mysql(), integer_parameter());
    let types = types.with_places([NullPlace::Compared].into_iter().collect());
    let executions: [&[Kind]; 4] = [&[Kind::Signed], &[Kind::Null], &[Kind::Text], &[Kind::Signed]];
    assert_eq!(needs(types, &executions), ["prepared > prepared, fresh"; 4]);
}

#[test]
fn what_others_bound_is_not_seen_by_nulls_and_numbers() {
    use ValueKind as Kind;
    let date = || Some([BinaryType::signed(ColumnType::Date)].into());
    let (shared, own) = ("prepared > prepared, fresh", "own 1 > own 1, fresh");
    let executions: [&[Kind]; 4] = [&[Kind::Date], &[Kind::Null], &[Kind::Date], &[Kind::Null]];
    for types in
        [BoundTypes::new(&mysql(), date()), BoundTypes::new(&mysql(), date()).over_several()]
    {
        assert_eq!(needs(types, &executions), [shared, own, shared, own]);
    }
    let executions: [&[Kind]; 2] = [&[Kind::Signed]; 2];
    let types = BoundTypes::new(&mysql(), date());
    assert_eq!(needs(types, &executions), ["own 1 > own 2, fresh", "own 2 > own 2, home"]);
    let types = BoundTypes::new(&mysql(), date()).over_several();
    assert_eq!(needs(types, &executions)[1], "own 1 > [NumberText], fresh");
}

#[test]
fn a_value_of_another_type_stays_with_the_statement() {
    use ValueKind as Kind;
    // What one server does: the text is converted to the integer's type.
    let types = BoundTypes::new(&mysql(), text_parameter());
    let executions: [&[Kind]; 4] =
        [&[Kind::Signed], &[Kind::Signed], &[Kind::Text], &[Kind::Double]];
    assert_eq!(
        needs(types, &executions),
        [
            "prepared > own 1, fresh",
            "own 1 > own 1, fresh",
            "own 1 > own 1, home",
            "prepared > own 2, fresh",
        ]
    );
}

#[test]
fn clients_whose_values_have_the_same_types_share_a_statement() {
    use ValueKind as Kind;
    let of = |derived: ColumnType| {
        let derived = [BinaryType::signed(derived)].to_vec().into_boxed_slice();
        let types = BoundTypes::new(&mysql(), Some(derived));
        types.with_places([NullPlace::Compared].into_iter().collect())
    };
    let executions: [&[Kind]; 6] = [
        &[Kind::Double],
        &[Kind::Double],
        // Whoever has bound a DOUBLE reads integers and texts as one.
        &[Kind::Signed],
        &[Kind::NegativeText],
        &[Kind::Date],
        &[Kind::Double],
    ];
    let alike = vec![&[Kind::Double][..]; usize::from(ALIKE) + 1];
    let needs_then = |derived, executions: &[&[Kind]]| {
        let executions = [&alike[..], executions].concat();
        needs(of(derived), &executions).split_off(alike.len())
    };
    assert_eq!(
        needs_then(ColumnType::LongLong, &executions),
        [
            "own 1 > [Double], fresh",
            "[Double] > [Double], fresh",
            "[Double] > [Double], home",
            "[Double] > own 2, home",
            "own 2 > own 2, home",
            "own 2 > own 2, home",
        ]
    );
    // An integer is prepared again for a larger type, whatever was bound before.
    let executions: [&[Kind]; 4] =
        [&[Kind::Signed], &[Kind::Decimal], &[Kind::Double], &[Kind::Unsigned]];
    assert_eq!(
        needs(of(ColumnType::VarString), &executions),
        [
            "prepared > own 1, fresh",
            "prepared > own 2, fresh",
            "prepared > own 3, fresh",
            "own 3 > own 3, home",
        ]
    );
}

#[test]
fn a_statement_that_is_not_shared_any_more_leaves_the_shared_state() {
    use ValueKind as Kind;
    let kinds = |kind: Kind| -> ValueKinds { [kind].into_iter().collect() };
    for (kind, fresh) in [(Kind::Double, Fresh::WillDo), (Kind::Null, Fresh::WillNotDo)] {
        let types = BoundTypes::new(&mysql(), integer_parameter());
        let mut types = types.with_places([NullPlace::Compared].into_iter().collect());
        for _ in 0..ALIKE + 2 {
            types.bind_kinds(kinds(Kind::Double));
            types.note_executed();
        }
        assert!(matches!(types.need().before, Variant::Bound(_)));
        types.stop_sharing();
        let need = types.bind_kinds(kinds(kind)).clone();
        assert_eq!(need.fresh, fresh);
        assert!(matches!(need.after, Variant::Own(_)), "{need:?}");
        let shared = Variant::Bound(kinds(Kind::Double));
        assert_eq!(shared.serves(&need, Product::MySql), fresh == Fresh::WillNotDo);
        types.note_executed();
        assert_eq!(types.need().before, need.after);
    }
}

#[test]
fn numbers_as_text_count_only_for_integers() {
    use ValueKind as Kind;
    let of = |derived| BoundTypes::new(&mysql(), derived);
    let execution: [&[Kind]; 1] = [&[Kind::NumberText]];
    assert_eq!(needs(of(text_parameter()), &execution), ["prepared > prepared, fresh"]);
    assert_eq!(needs(of(integer_parameter()), &execution), ["prepared > own 1, fresh"]);
    assert_eq!(needs(of(None), &execution), ["prepared > own 1, fresh"]);
}

#[test]
fn what_texts_look_like_counts_when_another_parameter_does_not_fit() {
    use ValueKind as Kind;
    let needs_beside = |of: ColumnType, executions: &[Kind]| {
        let derived = [ColumnType::VarString, of].map(BinaryType::signed).to_vec();
        let types = BoundTypes::new(&mysql(), derived.into_boxed_slice().into());
        let pairs = executions.iter().map(|kind| [Kind::Signed, *kind]).collect::<Vec<_>>();
        needs(types, &pairs.iter().map(|pair| &pair[..]).collect::<Vec<_>>())
    };
    let fresh = "own 1 > own 1, fresh";
    let home = "own 1 > own 1, home";
    for (of, executions, second) in [
        (ColumnType::Long, [Kind::WholeText, Kind::WholeText], fresh),
        (ColumnType::Long, [Kind::WholeText, Kind::Text], home),
        (ColumnType::Long, [Kind::Text, Kind::WholeText], home),
        (ColumnType::Long, [Kind::Text, Kind::DateText], fresh),
        (ColumnType::Long, [Kind::NumberText, Kind::NumberText], home),
        (ColumnType::Double, [Kind::WholeText, Kind::NegativeText], fresh),
        (ColumnType::DateTime, [Kind::DateTimeText, Kind::DateTimeText], fresh),
        (ColumnType::DateTime, [Kind::DateTimeText, Kind::MixedText], home),
        (ColumnType::DateTime, [Kind::MixedText, Kind::MixedText], home),
        (ColumnType::VarString, [Kind::NumberText, Kind::DateText], fresh),
        (ColumnType::Json, [Kind::Text, Kind::Text], home),
    ] {
        let found = needs_beside(of, &executions);
        assert_eq!(found, ["prepared > own 1, fresh", second], "{of:?} {executions:?}");
    }
}

#[test]
fn numbers_as_text_count_for_what_has_become_an_integer() {
    use ValueKind as Kind;
    let types = BoundTypes::new(&mysql(), text_parameter());
    let executions: [&[Kind]; 3] = [&[Kind::Signed], &[Kind::NumberText], &[Kind::Signed]];
    assert_eq!(
        needs(types, &executions),
        ["prepared > own 1, fresh", "own 1 > own 2, home", "own 2 > own 2, home"]
    );
}

#[test]
fn mariadb_keeps_types_apart_and_nulls_fit_all() {
    use ValueKind as Kind;
    let mariadb = ServerKind::parse(b"5.5.5-10.11.19-MariaDB");
    let need = |kinds: &[Kind]| {
        let mut types = BoundTypes::new(&mariadb, text_parameter());
        types.bind_kinds(kinds.iter().copied().collect()).clone()
    };
    let serves = |variant: &Variant, need: &Need| variant.serves(need, Product::MariaDb);
    let (number, text, null) = (need(&[Kind::Signed]), need(&[Kind::Text]), need(&[Kind::Null]));
    let state = Variant::AsPrepared.after(&null, Product::MariaDb);
    assert!(serves(&state, &number) && serves(&state, &text));
    let state = state.after(&number, Product::MariaDb);
    assert!(serves(&state, &number) && serves(&state, &null) && !serves(&state, &text));
    assert_eq!(state.after(&null, Product::MariaDb), state);
    assert!(!Variant::Own(1).serves(&number, Product::MariaDb));
}

#[test]
fn an_unknown_server_shares_nothing() {
    let types = BoundTypes::new(&ServerKind::parse(b"8.0.21"), text_parameter());
    let executions: [&[ValueKind]; 2] = [&[ValueKind::Signed], &[ValueKind::Text]];
    assert_eq!(needs(types, &executions), ["own 1 > own 1, fresh"; 2]);
}

#[test]
fn a_failed_execution_leaves_a_state_that_only_the_server_knows() {
    use ValueKind as Kind;
    let kinds = |kind: Kind| -> ValueKinds { [kind].into_iter().collect() };
    let mut types = BoundTypes::new(&mysql(), text_parameter());
    let state = types.bind_kinds(kinds(Kind::Signed)).after.clone();
    assert_eq!(types.note_failed(Arrival::Fresh), None);
    // Values of the same kind come to the same from both states.
    let need = types.bind_kinds(kinds(Kind::Signed));
    assert_eq!((&need.before, need.fresh), (&state, Fresh::AtWorst));
    let need = types.bind_kinds(kinds(Kind::Text));
    assert_eq!((&need.before, need.fresh), (&state, Fresh::WillNotDo));
    types.note_executed();
    let need = types.bind_kinds(kinds(Kind::Signed));
    assert_eq!((&need.before, need.fresh), (&state, Fresh::WillNotDo));
}

#[test]
fn a_fresh_statement_whose_execution_fails_is_in_an_unknown_state() {
    use ValueKind as Kind;
    let signed: ValueKinds = [Kind::Signed].into_iter().collect();
    let mut types = BoundTypes::new(&mysql(), text_parameter());
    types.bind_kinds(signed.clone());
    types.note_executed();
    let state = types.bind_kinds(signed.clone()).before.clone();
    assert_eq!(types.note_failed(Arrival::There), None);
    let other = types.note_failed(Arrival::Fresh).expect("it may be as it was prepared");
    assert_ne!(other, state);
    assert_eq!(types.bind_kinds(signed).before, state);
}

#[test]
fn texts_are_numbers_as_the_server_reads_them() {
    use ValueKind as Kind;
    let cases = [
        ("", Kind::Text),
        ("abc", Kind::Text),
        ("12", Kind::WholeText),
        (" 12 ", Kind::NumberText),
        ("+7", Kind::WholeText),
        ("-3", Kind::NegativeText),
        ("-0", Kind::NumberText),
        ("1.5", Kind::NumberText),
        ("1.", Kind::NumberText),
        (".5", Kind::NumberText),
        ("1e3", Kind::NumberText),
        ("1e-3", Kind::NumberText),
        ("-", Kind::NumberText),
        ("99999999999999999999", Kind::NumberText),
        ("12abc", Kind::MixedText),
        ("2024-01-02", Kind::DateText),
        ("10:11:12", Kind::MixedText),
        ("1 2", Kind::MixedText),
        ("2024-01-02 03:04:05.6", Kind::DateTimeText),
        ("2024-02-31", Kind::MixedText),
        ("2024-01-02 3:04:05", Kind::MixedText),
    ];
    for (text, kind) in cases {
        assert_eq!(text_kind(text.as_bytes()), kind, "{text:?}");
    }
    assert_eq!(bytes_kind(b"\xff\x00"), Kind::Bytes);
    assert_eq!(bytes_kind(b"-3"), Kind::NumberBytes);
}

#[test]
fn over_several_servers_every_execution_begins_anew() {
    use ValueKind as Kind;
    let types = BoundTypes::new(&mysql(), integer_parameter()).over_several();
    let types = types.with_places([NullPlace::Compared].into_iter().collect());
    let executions: [&[Kind]; 6] = [
        &[Kind::Signed],
        &[Kind::Double],
        &[Kind::Null],
        &[Kind::Text],
        &[Kind::NegativeText],
        &[Kind::Double],
    ];
    let expected = [
        "prepared > prepared, fresh",
        "prepared > [Double], fresh",
        "prepared > prepared, fresh",
        "prepared > prepared, fresh",
        "prepared > [NegativeText], fresh",
        "prepared > [Double], fresh",
    ];
    assert_eq!(needs(types, &executions), expected);
}

#[test]
fn what_only_the_server_knows_is_not_found_again() {
    use ValueKind as Kind;
    let mut types = BoundTypes::new(&mysql(), integer_parameter()).over_several();
    for (kind, is_found) in [(Kind::Double, true), (Kind::NumberText, false)] {
        let need = types.bind_kinds([kind].into_iter().collect()).clone();
        assert!(Variant::AsPrepared.serves(&need, Product::MySql));
        assert_eq!(need.after.serves(&need, Product::MySql), is_found, "{kind:?}");
    }
}

#[test]
fn nulls_whose_type_cannot_be_seen_need_no_state() {
    use NullPlace::{Assigned, Other};
    use ValueKind as Kind;
    let derived = |kinds: &[ColumnType]| -> Derived {
        let types: Vec<BinaryType> = kinds.iter().copied().map(BinaryType::signed).collect();
        types.into_boxed_slice().into()
    };
    let (back, fresh) = ("own 1 > own 1, fresh", "prepared > prepared, fresh");
    let home = "own 1 > own 1, home";
    let (decimal, integer) = (ColumnType::NewDecimal, ColumnType::LongLong);
    for (places, key, first, then, expected) in [
        // All numbers come as DOUBLE: the other one has the statement prepared again too.
        (
            [Assigned, Other],
            integer,
            Kind::Double,
            Kind::Double,
            "prepared > [Null, Double], fresh",
        ),
        ([Other, Other], integer, Kind::Double, Kind::Double, home),
        // The other value is of the derived type.
        ([Assigned, Other], integer, Kind::Signed, Kind::Signed, fresh),
        ([Assigned, Assigned], ColumnType::VarString, Kind::Text, Kind::Text, fresh),
        // A text that is compared, or that becomes an integer.
        ([Assigned, Other], ColumnType::VarString, Kind::Text, Kind::Text, home),
        ([Assigned, Assigned], integer, Kind::Text, Kind::Text, home),
        // More than the NULL differs.
        ([Assigned, Assigned], ColumnType::VarString, Kind::Text, Kind::Bytes, home),
    ] {
        let types = BoundTypes::new(&mysql(), derived(&[decimal, key]));
        let types = types.with_places(places.into_iter().collect());
        let executions: [&[Kind]; 4] = [
            &[Kind::Double, first],
            &[Kind::Double, first],
            &[Kind::Null, then],
            &[Kind::Double, first],
        ];
        let needs = needs(types, &executions);
        assert_eq!(needs[1..], [back, expected, back], "{places:?} {key:?} {first:?} {then:?}");
    }
}
