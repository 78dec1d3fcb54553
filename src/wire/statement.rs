//! Prepared statements: the answer to COM_STMT_PREPARE and the payload of COM_STMT_EXECUTE.
//!
//! Parameter types come only with the first execution that has a value; later ones leave them out
//! and mean the same types. An execution that goes to a server connection which has not seen the
//! types needs them spliced in: [`Execute::encode`] does that without decoding a value.
//!
//! Protocol pages: MySQL "COM_STMT_PREPARE Response", "COM_STMT_EXECUTE"
//! (`page_protocol_com_stmt_execute`), MariaDB pages of the same names.

use std::ops::Range;

use super::binary_value::{BinaryType, Sign, decode, encode, take_raw};
use super::capability::Capabilities;
use super::column_count::Definitions;
use super::column_type::ColumnType;
use super::command::code;
use super::cursor::{Cursor, Malformed};
use super::encode::{put_lenenc_bytes, put_lenenc_int, put_u16, put_u32};
use super::query_attributes::{QueryAttributes, read_count, take_value};
use super::row_binary::{bit, set_bit};
use crate::sql::value::Value;

mod bulk;

pub use bulk::BulkExecute;

/// The first packet that answers a successful COM_STMT_PREPARE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareOk {
    /// The statement's id on this connection.
    pub statement_id: u32,
    /// Columns of the result set; 0 if there is none.
    pub columns: u16,
    /// Placeholders.
    pub params: u16,
    /// Number of warnings.
    pub warnings: u16,
    /// Whether parameters and columns are described.
    pub definitions: Definitions,
}

impl PrepareOk {
    /// Reads the packet.
    pub fn parse(payload: &[u8], capabilities: Capabilities) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8()? != 0 {
            return Err(Malformed::new("the answer to COM_STMT_PREPARE", 0));
        }
        let statement_id = cursor.u32()?;
        let columns = cursor.u16()?;
        let params = cursor.u16()?;
        cursor.u8()?;
        let warnings = if cursor.is_empty() { 0 } else { cursor.u16()? };
        let definitions = Definitions::take(&mut cursor, capabilities)?;
        Ok(Self { statement_id, columns, params, warnings, definitions })
    }

    /// Appends the packet's payload.
    pub fn encode(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        out.push(0);
        put_u32(out, self.statement_id);
        put_u16(out, self.columns);
        put_u16(out, self.params);
        out.push(0);
        put_u16(out, self.warnings);
        self.definitions.put(out, capabilities);
    }
}

/// `flags` of COM_STMT_EXECUTE: no cursor.
pub const CURSOR_NONE: u8 = 0;
/// `flags` of COM_STMT_EXECUTE: a read-only cursor, rows come by COM_STMT_FETCH.
pub const CURSOR_READ_ONLY: u8 = 1;
/// All flags that ask for a cursor of some kind.
pub const CURSOR_MASK: u8 = 0x07;
/// In `flags` of COM_STMT_EXECUTE, where QUERY_ATTRIBUTES is agreed on: the number of parameters
/// and attributes follows even for a statement without parameters.
const PARAMETER_COUNT_AVAILABLE: u8 = 0x08;

/// In a parameter's type: an unsigned integer.
const UNSIGNED: u8 = 0x80;
/// Where the statement id stands in the payload.
const ID_AT: Range<usize> = 1..5;

/// The fixed front of a COM_STMT_EXECUTE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecuteHeader {
    /// Statement id; MariaDB reads 0xffffffff as the last one prepared.
    pub statement_id: u32,
    /// Cursor flags.
    pub flags: u8,
    /// Always 1.
    pub iterations: u32,
}

impl ExecuteHeader {
    /// Reads the front of the payload; enough to find the statement.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        Self::read(&mut Cursor::new(payload))
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        if cursor.u8()? != code::STMT_EXECUTE {
            return Err(Malformed::new("COM_STMT_EXECUTE", 0));
        }
        Ok(Self { statement_id: cursor.u32()?, flags: cursor.u8()?, iterations: cursor.u32()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(code::STMT_EXECUTE);
        put_u32(out, self.statement_id);
        out.push(self.flags);
        put_u32(out, self.iterations);
    }
}

/// One parameter of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its type.
    pub of: BinaryType,
    /// Its value.
    pub place: ParamPlace,
}

/// Where a parameter's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamPlace {
    /// It is NULL.
    Null,
    /// It came by COM_STMT_SEND_LONG_DATA and is not in this payload.
    LongData,
    /// Raw bytes in this payload.
    At(Range<usize>),
}

impl Param {
    /// The raw bytes in the payload that it was found in; `None` for NULL and long data.
    pub fn raw<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        match &self.place {
            ParamPlace::At(range) => payload.get(range.clone()),
            ParamPlace::Null | ParamPlace::LongData => None,
        }
    }

    /// The value, if its type is one that servers take for it; `long_data` is what came by
    /// COM_STMT_SEND_LONG_DATA for this parameter.
    pub fn value<'a>(
        &self,
        payload: &'a [u8],
        long_data: &'a [u8],
    ) -> Result<Value<'a>, Malformed> {
        match &self.place {
            ParamPlace::Null => Ok(Value::Null),
            ParamPlace::LongData if self.of.kind.is_parameter_in_parts() => {
                Ok(long_value(self.of.kind, long_data))
            }
            ParamPlace::LongData => Err(Malformed::new("a parameter that comes in parts", 0)),
            ParamPlace::At(range) if !self.of.kind.is_parameter() => {
                Err(Malformed::new("a parameter of a type that servers read", range.start))
            }
            ParamPlace::At(range) => {
                let raw = payload.get(range.clone());
                decode(self.of, raw.ok_or(Malformed::new("a parameter", range.start))?)
            }
        }
    }
}

/// Long data is character data for the string types and bytes for all others.
fn long_value(kind: ColumnType, data: &[u8]) -> Value<'_> {
    match kind {
        ColumnType::VarChar | ColumnType::VarString | ColumnType::String => {
            Value::Text(data.into())
        }
        _ => Value::Bytes(data.into()),
    }
}

/// A COM_STMT_EXECUTE with its parameters located.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execute {
    /// The fixed front.
    pub header: ExecuteHeader,
    /// Whether the payload itself carries the types.
    pub types: TypesCarried,
}

/// Whether a COM_STMT_EXECUTE carries its parameters' types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypesCarried {
    /// The types are in the payload (or there are no parameters).
    Yes,
    /// The types are those of an earlier execution.
    Remembered,
}

impl Execute {
    /// Reads a payload for a statement of `count` parameters and puts them into `params`.
    ///
    /// On entry `params` holds those of the statement's last execution, whose types count when
    /// this one brings none; `has_long_data` says for which parameters COM_STMT_SEND_LONG_DATA
    /// came, because their values are not in the payload. `attributes`, if QUERY_ATTRIBUTES is
    /// agreed on, get those of this execution. After an error `params` and `attributes` are empty.
    pub fn parse(
        payload: &[u8],
        count: u16,
        params: &mut Vec<Param>,
        mut attributes: Option<&mut QueryAttributes>,
        has_long_data: impl Fn(usize) -> bool,
    ) -> Result<Self, Malformed> {
        if let Some(attributes) = &mut attributes {
            attributes.clear();
        }
        let given = attributes.as_deref_mut();
        let read = Self::read(payload, usize::from(count), params, given, has_long_data);
        if read.is_err() {
            params.clear();
            if let Some(attributes) = attributes {
                attributes.clear();
            }
        }
        read
    }

    fn read(
        payload: &[u8],
        count: usize,
        params: &mut Vec<Param>,
        attributes: Option<&mut QueryAttributes>,
        has_long_data: impl Fn(usize) -> bool,
    ) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let header = ExecuteHeader::read(&mut cursor)?;
        let counted = count > 0 || header.flags & PARAMETER_COUNT_AVAILABLE != 0;
        let total = match &attributes {
            Some(_) if counted => read_count(&mut cursor)?,
            _ => count,
        };
        if total < count {
            return Err(cursor.malformed("as many parameters as the statement has"));
        }
        if total == 0 {
            params.clear();
            return Ok(Self { header, types: TypesCarried::Yes });
        }
        let bitmap = cursor.bytes(total.div_ceil(8))?;
        let types = match cursor.u8()? {
            0 => TypesCarried::Remembered,
            1 => TypesCarried::Yes,
            _ => return Err(cursor.malformed("a flag that says whether types follow")),
        };
        let mut attribute_types = cursor;
        if types == TypesCarried::Remembered && params.len() != count {
            params.clear();
            let untyped = BinaryType { kind: ColumnType::Null, sign: Sign::Signed };
            params.resize(count, Param { of: untyped, place: ParamPlace::Null });
        }
        if types == TypesCarried::Yes {
            params.clear();
            for index in 0..total {
                if index == count {
                    attribute_types = cursor;
                }
                let kind = ColumnType::from_code(cursor.u8()?);
                let unsigned = cursor.u8()? & UNSIGNED != 0;
                let sign = if unsigned { Sign::Unsigned } else { Sign::Signed };
                if attributes.is_some() {
                    cursor.lenenc_bytes()?;
                }
                if index < count {
                    params.push(Param { of: BinaryType { kind, sign }, place: ParamPlace::Null });
                }
            }
        }
        place_values(&mut cursor, params, bitmap, types, has_long_data)?;
        if let Some(attributes) = attributes {
            let nulls = (count..total).map(|index| bit(bitmap, index));
            read_attributes(attributes, nulls, types, &mut attribute_types, &mut cursor)?;
        }
        // Servers do not look at what follows; node's mysql2 leaves a byte there for each NULL.
        Ok(Self { header, types })
    }

    /// Appends the same execution for another statement id, with types, from the payload that
    /// `params` were found in. Long data must have been sent for the same parameters. `attributes`
    /// are those that were found there, if QUERY_ATTRIBUTES is agreed on.
    pub fn encode(
        &self,
        out: &mut Vec<u8>,
        statement_id: u32,
        payload: &[u8],
        params: &[Param],
        attributes: Option<&QueryAttributes>,
    ) {
        let header = ExecuteHeader { statement_id, ..self.header };
        put_execution(out, header, params, attributes, |out, param| {
            out.extend_from_slice(param.raw(payload).unwrap_or_default());
        });
    }
}

/// Finds the values of a statement's own parameters.
fn place_values(
    cursor: &mut Cursor<'_>,
    params: &mut [Param],
    bitmap: &[u8],
    types: TypesCarried,
    has_long_data: impl Fn(usize) -> bool,
) -> Result<(), Malformed> {
    for (index, param) in params.iter_mut().enumerate() {
        let is_null = bit(bitmap, index);
        // Servers want no type for NULL: Connector/J sends none until there is a value.
        let is_value = !is_null || has_long_data(index);
        let is_untyped = param.of.kind == ColumnType::Null && types == TypesCarried::Remembered;
        if is_value && is_untyped {
            return Err(cursor.malformed("a parameter's type, which no execution brought yet"));
        }
        // The order is the server's: long data counts even where the NULL bit is set.
        param.place = if has_long_data(index) {
            ParamPlace::LongData
        } else if is_null || param.of.kind == ColumnType::Null {
            ParamPlace::Null
        } else {
            let start = cursor.position();
            take_raw(cursor, param.of.kind)?;
            ParamPlace::At(start..cursor.position())
        };
    }
    Ok(())
}

/// Reads the attributes behind a statement's own parameters.
fn read_attributes(
    attributes: &mut QueryAttributes,
    nulls: impl Iterator<Item = bool>,
    carried: TypesCarried,
    types: &mut Cursor<'_>,
    values: &mut Cursor<'_>,
) -> Result<(), Malformed> {
    for null in nulls {
        // Types are remembered for a statement's own parameters only.
        let (kind, name): (u16, &[u8]) = match carried {
            TypesCarried::Yes => (types.u16()?, types.lenenc_bytes()?),
            TypesCarried::Remembered if null => (u16::from(ColumnType::Null.code()), b""),
            TypesCarried::Remembered => return Err(values.malformed("types of query attributes")),
        };
        let value = if null { None } else { Some(take_value(values, kind)?) };
        attributes.push(name, kind, value);
    }
    Ok(())
}

/// Appends a COM_STMT_EXECUTE with these cursor flags for `values`, with `attributes` if
/// QUERY_ATTRIBUTES is agreed on.
pub fn encode_execute(
    out: &mut Vec<u8>,
    statement_id: u32,
    flags: u8,
    values: &[Value<'_>],
    attributes: Option<&QueryAttributes>,
) {
    let mut raws = Vec::new();
    let params: Vec<Param> = values
        .iter()
        .map(|value| {
            let start = raws.len();
            let of = encode(&mut raws, value);
            let place = match value {
                Value::Null => ParamPlace::Null,
                _ => ParamPlace::At(start..raws.len()),
            };
            Param { of, place }
        })
        .collect();
    let header = ExecuteHeader { statement_id, flags, iterations: 1 };
    put_execution(out, header, &params, attributes, |out, param| {
        out.extend_from_slice(param.raw(&raws).unwrap_or_default());
    });
}

fn put_execution(
    out: &mut Vec<u8>,
    header: ExecuteHeader,
    params: &[Param],
    attributes: Option<&QueryAttributes>,
    put_value: impl Fn(&mut Vec<u8>, &Param),
) {
    let more = attributes.map_or(0, QueryAttributes::len);
    let total = params.len() + more;
    let flag = if more > 0 { PARAMETER_COUNT_AVAILABLE } else { 0 };
    let header = ExecuteHeader { flags: header.flags | flag, ..header };
    header.encode(out);
    let counted = total > 0 || header.flags & PARAMETER_COUNT_AVAILABLE != 0;
    if attributes.is_some() && counted {
        put_lenenc_int(out, total as u64);
    }
    if total == 0 {
        return;
    }
    let bitmap = out.len();
    out.resize(bitmap + total.div_ceil(8), 0);
    out.push(1);
    for (index, param) in params.iter().enumerate() {
        if param.place == ParamPlace::Null {
            set_bit(out, bitmap, index);
        }
        out.push(param.of.kind.code());
        out.push(if param.of.sign == Sign::Unsigned { UNSIGNED } else { 0 });
        if attributes.is_some() {
            put_lenenc_bytes(out, b"");
        }
    }
    if let Some(attributes) = attributes {
        attributes.put_nulls(out, bitmap, params.len());
        attributes.put_types(out);
    }
    for param in params {
        put_value(out, param);
    }
    if let Some(attributes) = attributes {
        attributes.put_values(out);
    }
}

/// Overwrites the statement id in the payload of a COM_STMT_EXECUTE, COM_STMT_FETCH,
/// COM_STMT_RESET, COM_STMT_CLOSE or COM_STMT_SEND_LONG_DATA, which all have it after the command
/// byte.
pub fn patch_statement_id(payload: &mut [u8], statement_id: u32) -> Result<(), Malformed> {
    let id = payload.get_mut(ID_AT).ok_or(Malformed::new("a statement id", ID_AT.start))?;
    id.copy_from_slice(&statement_id.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
