//! The names of MySQL's and MariaDB's character sets, for introducers (`_latin1'..'`) and SET.

/// Whether `lower`, in lower case, names a character set.
pub(crate) fn is_charset(lower: &[u8]) -> bool {
    AS_ASCII.contains(&lower) || OTHERS.contains(&lower)
}

/// Whether ASCII, and all of it, is ASCII in the character set of this name to servers, converted
/// from it and to it. sjis is not among them: it has no backslash of its own.
pub fn agrees_with_ascii(name: &[u8]) -> bool {
    AS_ASCII.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Asked of MariaDB 10.11, each with all 128 characters; gb18030 is MySQL's.
const AS_ASCII: &[&[u8]] = &[
    b"armscii8",
    b"ascii",
    b"big5",
    b"cp1250",
    b"cp1251",
    b"cp1256",
    b"cp1257",
    b"cp850",
    b"cp852",
    b"cp866",
    b"cp932",
    b"dec8",
    b"eucjpms",
    b"euckr",
    b"gb18030",
    b"gb2312",
    b"gbk",
    b"geostd8",
    b"greek",
    b"hebrew",
    b"hp8",
    b"keybcs2",
    b"koi8r",
    b"koi8u",
    b"latin1",
    b"latin2",
    b"latin5",
    b"latin7",
    b"macce",
    b"macroman",
    b"tis620",
    b"ujis",
    b"utf8",
    b"utf8mb3",
    b"utf8mb4",
];

/// The others; sjis and swe7 have other characters in the places of some of ASCII.
const OTHERS: &[&[u8]] = &[b"binary", b"sjis", b"swe7", b"ucs2", b"utf16", b"utf16le", b"utf32"];
