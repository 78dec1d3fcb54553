//! Executions read, written again, and refused.

use proptest::prelude::*;

use super::*;
use crate::wire::recorded;

fn located(payload: &[u8], count: u16, params: &mut Vec<Param>) -> Result<Execute, Malformed> {
    Execute::parse(payload, count, params, None, |_| false)
}

fn values(payload: &[u8], params: &[Param]) -> Vec<Value<'static>> {
    params.iter().map(|param| param.value(payload, &[]).unwrap().into_owned()).collect()
}

#[test]
fn only_types_that_servers_read_are_values() {
    let value = |code: u8, place| {
        let of = BinaryType { kind: ColumnType::from_code(code), sign: Sign::Signed };
        Param { of, place }.value(b"\x01\0\0\0\0\0\0\0\0\0\0\0", b"1").map(Value::into_owned)
    };
    // VARCHAR as stored, DECIMALs, JSON, BLOBs and strings beside the numbers and times.
    let strings = [0x0f, 0xf5, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe];
    let others = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0xf6];
    for code in 0..=255 {
        let at = value(code, ParamPlace::At(0..12));
        assert_eq!(at.is_ok(), strings.contains(&code) || others.contains(&code), "{code}");
        assert_eq!(value(code, ParamPlace::LongData).is_ok(), strings.contains(&code), "{code}");
        assert_eq!(value(code, ParamPlace::Null), Ok(Value::Null));
    }
}

#[test]
fn a_recorded_prepare_comes_back() {
    let payload = &recorded::PREPARE_EOF[4..16];
    let prepared = PrepareOk::parse(payload, Capabilities::EMPTY).unwrap();
    let definitions = Definitions::Sent;
    let known = PrepareOk { statement_id: 1, columns: 3, params: 2, warnings: 0, definitions };
    assert_eq!(prepared, known);
    let mut out = Vec::new();
    prepared.encode(&mut out, Capabilities::EMPTY);
    assert_eq!(out, payload);
    let optional = Capabilities::OPTIONAL_RESULTSET_METADATA;
    assert!(PrepareOk::parse(&out, optional).is_err());
    out.push(0);
    let left_out = PrepareOk { definitions: Definitions::LeftOut, ..known };
    assert_eq!(PrepareOk::parse(&out, optional), Ok(left_out));
    let mut again = Vec::new();
    left_out.encode(&mut again, optional);
    assert_eq!(again, out);
}

/// The mistake of other implementations: the flag byte 0 is not the first byte of a value.
#[test]
fn a_second_execution_has_the_types_of_the_first() {
    let first = b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\x03\0\x2a\0\0\0";
    let second = b"\x17\x01\0\0\0\0\x01\0\0\0\0\0\x2b\0\0\0";
    let mut params = Vec::new();
    assert!(located(second, 1, &mut params).is_err(), "no types yet");
    assert_eq!(located(first, 1, &mut params).unwrap().types, TypesCarried::Yes);
    assert_eq!(values(first, &params), [Value::Int(42)]);
    let execute = located(second, 1, &mut params).unwrap();
    assert_eq!(execute.types, TypesCarried::Remembered);
    assert_eq!(values(second, &params), [Value::Int(43)]);
    let mut out = Vec::new();
    execute.encode(&mut out, 9, second, &params, None);
    assert_eq!(out, b"\x17\x09\0\0\0\0\x01\0\0\0\0\x01\x03\0\x2b\0\0\0");
}

/// Connector/J sends types with the first value only.
#[test]
fn nulls_need_no_type() {
    let untyped = b"\x17\x01\0\0\0\0\x01\0\0\0\x03\0";
    let value = b"\x17\x01\0\0\0\0\x01\0\0\0\x02\0\x2a\0\0\0";
    let typed = b"\x17\x01\0\0\0\0\x01\0\0\0\x02\x01\x03\0\x06\0\x2a\0\0\0";
    let mut params = Vec::new();
    let execute = located(untyped, 2, &mut params).unwrap();
    assert_eq!(values(untyped, &params), [Value::Null, Value::Null]);
    let mut out = Vec::new();
    execute.encode(&mut out, 9, untyped, &params, None);
    assert_eq!(out, b"\x17\x09\0\0\0\0\x01\0\0\0\x03\x01\x06\0\x06\0");
    assert!(located(value, 2, &mut params).is_err(), "a value needs one");
    located(untyped, 2, &mut params).unwrap();
    located(typed, 2, &mut params).unwrap();
    located(value, 2, &mut params).unwrap();
    assert_eq!(values(value, &params), [Value::Int(42), Value::Null]);
    located(untyped, 2, &mut params).unwrap();
    let other = b"\x17\x01\0\0\0\0\x01\0\0\0\x01\0\x2a\0\0\0";
    assert!(located(other, 2, &mut params).is_err(), "NULL's is none");
}

#[test]
fn long_data_is_not_in_the_payload() {
    let payload = b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\xfc\0\x01\0\x07";
    let mut params = Vec::new();
    let execute = Execute::parse(payload, 2, &mut params, None, |index| index == 0).unwrap();
    assert_eq!(params[0].value(payload, b"piece"), Ok(Value::Bytes(b"piece"[..].into())));
    assert_eq!(params[1].value(payload, b""), Ok(Value::Int(7)));
    let mut out = Vec::new();
    execute.encode(&mut out, 1, payload, &params, None);
    assert_eq!(out, payload);
}

/// What servers do: the flag means nothing where QUERY_ATTRIBUTES was not agreed on.
#[test]
fn attributes_that_were_not_agreed_on_are_not_read() {
    let payload = b"\x17\x01\0\0\0\x08\x01\0\0\0\0\x01\x01\0\x07";
    assert!(located(payload, 1, &mut Vec::new()).is_ok());
    assert!(located(&payload[..10], 0, &mut Vec::new()).is_ok());
}

/// What the mysql client sends for a statement of one parameter with two attributes, one NULL.
#[test]
fn attributes_stand_behind_the_parameters() {
    let mut payload = b"\x17\x01\0\0\0\x08\x01\0\0\0".to_vec();
    payload.extend_from_slice(b"\x03\x02\x01\xfd\0\0\x08\x80\x02n1\xfe\0\x02n2\x01a\x02v2");
    // The second one, n1, is NULL.
    let mut params = Vec::new();
    let mut attributes = QueryAttributes::default();
    let parse = |payload: &[u8], count, params: &mut Vec<Param>, into: &mut QueryAttributes| {
        Execute::parse(payload, count, params, Some(into), |_| false)
    };
    let execute = parse(&payload, 1, &mut params, &mut attributes).unwrap();
    assert_eq!(values(&payload, &params), [Value::Text(b"a"[..].into())]);
    assert_eq!(attributes.len(), 2);
    let mut again = Vec::new();
    execute.encode(&mut again, 1, &payload, &params, Some(&attributes));
    assert_eq!(again, payload);
    // The same two with the text of a COM_QUERY.
    let mut front = Vec::new();
    attributes.put_query(&mut front);
    assert_eq!(front, b"\x02\x01\x01\x01\x08\x80\x02n1\xfe\0\x02n2\x02v2");
    // Types are remembered for parameters, not for attributes.
    let again = b"\x17\x01\0\0\0\x08\x01\0\0\0\x01\0\0\x01b";
    let execute = parse(again, 1, &mut params, &mut attributes).unwrap();
    assert_eq!((execute.types, attributes.len()), (TypesCarried::Remembered, 0));
    let mut out = Vec::new();
    execute.encode(&mut out, 2, again, &params, Some(&attributes));
    assert_eq!(out, b"\x17\x02\0\0\0\x08\x01\0\0\0\x01\0\x01\xfd\0\0\x01b");
    let nameless = b"\x17\x01\0\0\0\x08\x01\0\0\0\x02\0\0\x01b\x01c";
    assert!(parse(nameless, 1, &mut params, &mut attributes).is_err());
    assert!(params.is_empty() && attributes.is_empty());
    // Without parameters the flag says whether there is a count.
    let bare = b"\x17\x01\0\0\0\0\x01\0\0\0";
    let execute = parse(bare, 0, &mut params, &mut attributes).unwrap();
    let mut out = Vec::new();
    execute.encode(&mut out, 1, bare, &params, Some(&attributes));
    assert_eq!(out, bare);
    for end in 10..payload.len() {
        assert!(parse(&payload[..end], 1, &mut params, &mut attributes).is_err(), "{end}");
    }
}

#[test]
fn ids_are_patched_in_place() {
    let mut payload = b"\x19\x01\0\0\0".to_vec();
    patch_statement_id(&mut payload, 0x0102).unwrap();
    assert_eq!(payload, b"\x19\x02\x01\0\0");
    assert!(patch_statement_id(&mut payload[..4], 1).is_err());
}

fn any_value() -> impl Strategy<Value = Value<'static>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        (-1e9..1e9).prop_map(Value::Float),
        bytes().prop_map(|text| Value::Decimal(text.into())),
        bytes().prop_map(|text| Value::Text(text.into())),
        bytes().prop_map(|text| Value::Bytes(text.into())),
    ]
}

proptest! {
    #[test]
    fn executions_come_back(given in prop::collection::vec(any_value(), 0..20)) {
        let mut payload = Vec::new();
        encode_execute(&mut payload, 7, CURSOR_NONE, &given, None);
        let mut params = Vec::new();
        let count = given.len() as u16;
        let execute = located(&payload, count, &mut params).unwrap();
        prop_assert_eq!(execute.header.statement_id, 7);
        prop_assert_eq!(values(&payload, &params), given);
        let mut again = Vec::new();
        execute.encode(&mut again, 7, &payload, &params, None);
        prop_assert_eq!(&again, &payload);
        for end in 0..payload.len() {
            let mut params = Vec::new();
            prop_assert!(located(&payload[..end], count, &mut params).is_err());
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, rest: Vec<u8>, count in 0_u16..20) {
        let mut params = Vec::new();
        let _ = PrepareOk::parse(&bytes, Capabilities::OPTIONAL_RESULTSET_METADATA);
        let _ = located(&bytes, count, &mut params);
        let mut payload = b"\x17\x01\0\0\0\0\x01\0\0\0".to_vec();
        payload.extend_from_slice(&rest);
        if located(&payload, count, &mut params).is_ok() {
            for param in &params {
                let _ = param.value(&payload, &[]);
            }
        }
    }
}
