//! Character sets and collations that a handshake names.
//!
//! Ids are those of MySQL and MariaDB, which agree on them below 256; MariaDB's own collations
//! above that are not listed. The table is a list of facts: it compares no text, and how text is
//! lexed is said by `sql::mode`.
//!
//! Sources: information_schema.COLLATIONS of MariaDB 10.11.19; MySQL 8 for utf8mb4_0900 and
//! gb18030.

mod convert;
mod upper_half;

pub use convert::{error_from_utf8, from_utf8, to_utf8};

/// A character set.
#[derive(Debug, PartialEq, Eq)]
pub struct Charset {
    /// Name, in lower case.
    pub name: &'static str,
    /// Default collation that both servers know; never above 255.
    pub default_collation: u8,
}

/// A collation.
#[derive(Debug, PartialEq, Eq)]
pub struct Collation {
    /// Id.
    pub id: u16,
    /// Name, in lower case.
    pub name: &'static str,
    /// Its character set.
    pub charset: &'static Charset,
}

/// The collation for bytes without character set.
pub const BINARY_COLLATION: u16 = 63;
/// utf8mb4_general_ci, which every server since 5.5 knows; MySQL 8's 255 is unknown to MariaDB.
pub const UTF8MB4_COLLATION: u8 = 45;
/// utf8mb4_0900_ai_ci, MySQL 8's default.
pub const UTF8MB4_0900_COLLATION: u8 = 255;

impl Collation {
    /// The collation with this id.
    pub fn by_id(id: u16) -> Option<&'static Self> {
        let index = COLLATIONS.binary_search_by_key(&id, |collation| collation.id).ok()?;
        COLLATIONS.get(index)
    }

    /// The collation with this name, in any case; `utf8_` counts as `utf8mb3_`.
    pub fn by_name(name: &[u8]) -> Option<&'static Self> {
        let same = |known: &str| match name.get(..5) {
            Some(utf8) if utf8.eq_ignore_ascii_case(b"utf8_") => known
                .strip_prefix("utf8mb3_")
                .zip(name.get(5..))
                .is_some_and(|(known, rest)| rest.eq_ignore_ascii_case(known.as_bytes())),
            _ => name.eq_ignore_ascii_case(known.as_bytes()),
        };
        COLLATIONS.iter().find(|collation| same(collation.name))
    }

    /// The id to put into a handshake with any server: that of the charset's default collation.
    /// The exact collation then needs SET NAMES.
    pub const fn handshake_id(&self) -> u8 {
        self.charset.default_collation
    }
}

impl Charset {
    /// The character set of a collation, which begins the collation's name.
    pub fn of_collation(name: &[u8]) -> Option<&'static Self> {
        Self::by_name(name.split(|byte| *byte == b'_').next()?)
    }

    /// The greatest number of bytes of a character.
    pub fn longest_character(&self) -> u8 {
        match self.name {
            "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
            "utf8mb3" | "ujis" | "eucjpms" => 3,
            "big5" | "gbk" | "sjis" | "cp932" | "euckr" | "gb2312" | "ucs2" => 2,
            _ => 1,
        }
    }

    /// The character set with this name, in any case; `utf8` is utf8mb3.
    pub fn by_name(name: &[u8]) -> Option<&'static Self> {
        let name = if name.eq_ignore_ascii_case(b"utf8") { &b"utf8mb3"[..] } else { name };
        CHARSETS.iter().copied().find(|charset| name.eq_ignore_ascii_case(charset.name.as_bytes()))
    }
}

const fn charset(name: &'static str, default_collation: u8) -> Charset {
    Charset { name, default_collation }
}

const fn collation(id: u16, name: &'static str, charset: &'static Charset) -> Collation {
    Collation { id, name, charset }
}

static BIG5: Charset = charset("big5", 1);
static LATIN2: Charset = charset("latin2", 9);
static DEC8: Charset = charset("dec8", 3);
static CP850: Charset = charset("cp850", 4);
static LATIN1: Charset = charset("latin1", 8);
static HP8: Charset = charset("hp8", 6);
static KOI8R: Charset = charset("koi8r", 7);
static SWE7: Charset = charset("swe7", 10);
static ASCII: Charset = charset("ascii", 11);
static UJIS: Charset = charset("ujis", 12);
static SJIS: Charset = charset("sjis", 13);
static CP1251: Charset = charset("cp1251", 51);
static HEBREW: Charset = charset("hebrew", 16);
static TIS620: Charset = charset("tis620", 18);
static EUCKR: Charset = charset("euckr", 19);
static LATIN7: Charset = charset("latin7", 41);
static KOI8U: Charset = charset("koi8u", 22);
static GB2312: Charset = charset("gb2312", 24);
static GREEK: Charset = charset("greek", 25);
static CP1250: Charset = charset("cp1250", 26);
static GBK: Charset = charset("gbk", 28);
static CP1257: Charset = charset("cp1257", 59);
static LATIN5: Charset = charset("latin5", 30);
static ARMSCII8: Charset = charset("armscii8", 32);
static UTF8MB3: Charset = charset("utf8mb3", 33);
static UCS2: Charset = charset("ucs2", 35);
static CP866: Charset = charset("cp866", 36);
static KEYBCS2: Charset = charset("keybcs2", 37);
static MACCE: Charset = charset("macce", 38);
static MACROMAN: Charset = charset("macroman", 39);
static CP852: Charset = charset("cp852", 40);
static UTF8MB4: Charset = charset("utf8mb4", 45);
static UTF16: Charset = charset("utf16", 54);
static UTF16LE: Charset = charset("utf16le", 56);
static CP1256: Charset = charset("cp1256", 57);
static UTF32: Charset = charset("utf32", 60);
static BINARY: Charset = charset("binary", 63);
static GEOSTD8: Charset = charset("geostd8", 92);
static CP932: Charset = charset("cp932", 95);
static EUCJPMS: Charset = charset("eucjpms", 97);
static GB18030: Charset = charset("gb18030", 248);

static CHARSETS: &[&Charset] = &[
    &BIG5, &LATIN2, &DEC8, &CP850, &LATIN1, &HP8, &KOI8R, &SWE7, &ASCII, &UJIS, &SJIS, &CP1251,
    &HEBREW, &TIS620, &EUCKR, &LATIN7, &KOI8U, &GB2312, &GREEK, &CP1250, &GBK, &CP1257, &LATIN5,
    &ARMSCII8, &UTF8MB3, &UCS2, &CP866, &KEYBCS2, &MACCE, &MACROMAN, &CP852, &UTF8MB4, &UTF16,
    &UTF16LE, &CP1256, &UTF32, &BINARY, &GEOSTD8, &CP932, &EUCJPMS, &GB18030,
];

/// In order of id.
static COLLATIONS: &[Collation] = &[
    collation(1, "big5_chinese_ci", &BIG5),
    collation(2, "latin2_czech_cs", &LATIN2),
    collation(3, "dec8_swedish_ci", &DEC8),
    collation(4, "cp850_general_ci", &CP850),
    collation(5, "latin1_german1_ci", &LATIN1),
    collation(6, "hp8_english_ci", &HP8),
    collation(7, "koi8r_general_ci", &KOI8R),
    collation(8, "latin1_swedish_ci", &LATIN1),
    collation(9, "latin2_general_ci", &LATIN2),
    collation(10, "swe7_swedish_ci", &SWE7),
    collation(11, "ascii_general_ci", &ASCII),
    collation(12, "ujis_japanese_ci", &UJIS),
    collation(13, "sjis_japanese_ci", &SJIS),
    collation(14, "cp1251_bulgarian_ci", &CP1251),
    collation(15, "latin1_danish_ci", &LATIN1),
    collation(16, "hebrew_general_ci", &HEBREW),
    collation(18, "tis620_thai_ci", &TIS620),
    collation(19, "euckr_korean_ci", &EUCKR),
    collation(20, "latin7_estonian_cs", &LATIN7),
    collation(21, "latin2_hungarian_ci", &LATIN2),
    collation(22, "koi8u_general_ci", &KOI8U),
    collation(23, "cp1251_ukrainian_ci", &CP1251),
    collation(24, "gb2312_chinese_ci", &GB2312),
    collation(25, "greek_general_ci", &GREEK),
    collation(26, "cp1250_general_ci", &CP1250),
    collation(27, "latin2_croatian_ci", &LATIN2),
    collation(28, "gbk_chinese_ci", &GBK),
    collation(29, "cp1257_lithuanian_ci", &CP1257),
    collation(30, "latin5_turkish_ci", &LATIN5),
    collation(31, "latin1_german2_ci", &LATIN1),
    collation(32, "armscii8_general_ci", &ARMSCII8),
    collation(33, "utf8mb3_general_ci", &UTF8MB3),
    collation(34, "cp1250_czech_cs", &CP1250),
    collation(35, "ucs2_general_ci", &UCS2),
    collation(36, "cp866_general_ci", &CP866),
    collation(37, "keybcs2_general_ci", &KEYBCS2),
    collation(38, "macce_general_ci", &MACCE),
    collation(39, "macroman_general_ci", &MACROMAN),
    collation(40, "cp852_general_ci", &CP852),
    collation(41, "latin7_general_ci", &LATIN7),
    collation(42, "latin7_general_cs", &LATIN7),
    collation(43, "macce_bin", &MACCE),
    collation(44, "cp1250_croatian_ci", &CP1250),
    collation(45, "utf8mb4_general_ci", &UTF8MB4),
    collation(46, "utf8mb4_bin", &UTF8MB4),
    collation(47, "latin1_bin", &LATIN1),
    collation(48, "latin1_general_ci", &LATIN1),
    collation(49, "latin1_general_cs", &LATIN1),
    collation(50, "cp1251_bin", &CP1251),
    collation(51, "cp1251_general_ci", &CP1251),
    collation(52, "cp1251_general_cs", &CP1251),
    collation(53, "macroman_bin", &MACROMAN),
    collation(54, "utf16_general_ci", &UTF16),
    collation(55, "utf16_bin", &UTF16),
    collation(56, "utf16le_general_ci", &UTF16LE),
    collation(57, "cp1256_general_ci", &CP1256),
    collation(58, "cp1257_bin", &CP1257),
    collation(59, "cp1257_general_ci", &CP1257),
    collation(60, "utf32_general_ci", &UTF32),
    collation(61, "utf32_bin", &UTF32),
    collation(62, "utf16le_bin", &UTF16LE),
    collation(63, "binary", &BINARY),
    collation(64, "armscii8_bin", &ARMSCII8),
    collation(65, "ascii_bin", &ASCII),
    collation(66, "cp1250_bin", &CP1250),
    collation(67, "cp1256_bin", &CP1256),
    collation(68, "cp866_bin", &CP866),
    collation(69, "dec8_bin", &DEC8),
    collation(70, "greek_bin", &GREEK),
    collation(71, "hebrew_bin", &HEBREW),
    collation(72, "hp8_bin", &HP8),
    collation(73, "keybcs2_bin", &KEYBCS2),
    collation(74, "koi8r_bin", &KOI8R),
    collation(75, "koi8u_bin", &KOI8U),
    collation(76, "utf8mb3_tolower_ci", &UTF8MB3),
    collation(77, "latin2_bin", &LATIN2),
    collation(78, "latin5_bin", &LATIN5),
    collation(79, "latin7_bin", &LATIN7),
    collation(80, "cp850_bin", &CP850),
    collation(81, "cp852_bin", &CP852),
    collation(82, "swe7_bin", &SWE7),
    collation(83, "utf8mb3_bin", &UTF8MB3),
    collation(84, "big5_bin", &BIG5),
    collation(85, "euckr_bin", &EUCKR),
    collation(86, "gb2312_bin", &GB2312),
    collation(87, "gbk_bin", &GBK),
    collation(88, "sjis_bin", &SJIS),
    collation(89, "tis620_bin", &TIS620),
    collation(90, "ucs2_bin", &UCS2),
    collation(91, "ujis_bin", &UJIS),
    collation(92, "geostd8_general_ci", &GEOSTD8),
    collation(93, "geostd8_bin", &GEOSTD8),
    collation(94, "latin1_spanish_ci", &LATIN1),
    collation(95, "cp932_japanese_ci", &CP932),
    collation(96, "cp932_bin", &CP932),
    collation(97, "eucjpms_japanese_ci", &EUCJPMS),
    collation(98, "eucjpms_bin", &EUCJPMS),
    collation(99, "cp1250_polish_ci", &CP1250),
    collation(101, "utf16_unicode_ci", &UTF16),
    collation(102, "utf16_icelandic_ci", &UTF16),
    collation(103, "utf16_latvian_ci", &UTF16),
    collation(104, "utf16_romanian_ci", &UTF16),
    collation(105, "utf16_slovenian_ci", &UTF16),
    collation(106, "utf16_polish_ci", &UTF16),
    collation(107, "utf16_estonian_ci", &UTF16),
    collation(108, "utf16_spanish_ci", &UTF16),
    collation(109, "utf16_swedish_ci", &UTF16),
    collation(110, "utf16_turkish_ci", &UTF16),
    collation(111, "utf16_czech_ci", &UTF16),
    collation(112, "utf16_danish_ci", &UTF16),
    collation(113, "utf16_lithuanian_ci", &UTF16),
    collation(114, "utf16_slovak_ci", &UTF16),
    collation(115, "utf16_spanish2_ci", &UTF16),
    collation(116, "utf16_roman_ci", &UTF16),
    collation(117, "utf16_persian_ci", &UTF16),
    collation(118, "utf16_esperanto_ci", &UTF16),
    collation(119, "utf16_hungarian_ci", &UTF16),
    collation(120, "utf16_sinhala_ci", &UTF16),
    collation(121, "utf16_german2_ci", &UTF16),
    collation(122, "utf16_croatian_mysql561_ci", &UTF16),
    collation(123, "utf16_unicode_520_ci", &UTF16),
    collation(124, "utf16_vietnamese_ci", &UTF16),
    collation(128, "ucs2_unicode_ci", &UCS2),
    collation(129, "ucs2_icelandic_ci", &UCS2),
    collation(130, "ucs2_latvian_ci", &UCS2),
    collation(131, "ucs2_romanian_ci", &UCS2),
    collation(132, "ucs2_slovenian_ci", &UCS2),
    collation(133, "ucs2_polish_ci", &UCS2),
    collation(134, "ucs2_estonian_ci", &UCS2),
    collation(135, "ucs2_spanish_ci", &UCS2),
    collation(136, "ucs2_swedish_ci", &UCS2),
    collation(137, "ucs2_turkish_ci", &UCS2),
    collation(138, "ucs2_czech_ci", &UCS2),
    collation(139, "ucs2_danish_ci", &UCS2),
    collation(140, "ucs2_lithuanian_ci", &UCS2),
    collation(141, "ucs2_slovak_ci", &UCS2),
    collation(142, "ucs2_spanish2_ci", &UCS2),
    collation(143, "ucs2_roman_ci", &UCS2),
    collation(144, "ucs2_persian_ci", &UCS2),
    collation(145, "ucs2_esperanto_ci", &UCS2),
    collation(146, "ucs2_hungarian_ci", &UCS2),
    collation(147, "ucs2_sinhala_ci", &UCS2),
    collation(148, "ucs2_german2_ci", &UCS2),
    collation(149, "ucs2_croatian_mysql561_ci", &UCS2),
    collation(150, "ucs2_unicode_520_ci", &UCS2),
    collation(151, "ucs2_vietnamese_ci", &UCS2),
    collation(159, "ucs2_general_mysql500_ci", &UCS2),
    collation(160, "utf32_unicode_ci", &UTF32),
    collation(161, "utf32_icelandic_ci", &UTF32),
    collation(162, "utf32_latvian_ci", &UTF32),
    collation(163, "utf32_romanian_ci", &UTF32),
    collation(164, "utf32_slovenian_ci", &UTF32),
    collation(165, "utf32_polish_ci", &UTF32),
    collation(166, "utf32_estonian_ci", &UTF32),
    collation(167, "utf32_spanish_ci", &UTF32),
    collation(168, "utf32_swedish_ci", &UTF32),
    collation(169, "utf32_turkish_ci", &UTF32),
    collation(170, "utf32_czech_ci", &UTF32),
    collation(171, "utf32_danish_ci", &UTF32),
    collation(172, "utf32_lithuanian_ci", &UTF32),
    collation(173, "utf32_slovak_ci", &UTF32),
    collation(174, "utf32_spanish2_ci", &UTF32),
    collation(175, "utf32_roman_ci", &UTF32),
    collation(176, "utf32_persian_ci", &UTF32),
    collation(177, "utf32_esperanto_ci", &UTF32),
    collation(178, "utf32_hungarian_ci", &UTF32),
    collation(179, "utf32_sinhala_ci", &UTF32),
    collation(180, "utf32_german2_ci", &UTF32),
    collation(181, "utf32_croatian_mysql561_ci", &UTF32),
    collation(182, "utf32_unicode_520_ci", &UTF32),
    collation(183, "utf32_vietnamese_ci", &UTF32),
    collation(192, "utf8mb3_unicode_ci", &UTF8MB3),
    collation(193, "utf8mb3_icelandic_ci", &UTF8MB3),
    collation(194, "utf8mb3_latvian_ci", &UTF8MB3),
    collation(195, "utf8mb3_romanian_ci", &UTF8MB3),
    collation(196, "utf8mb3_slovenian_ci", &UTF8MB3),
    collation(197, "utf8mb3_polish_ci", &UTF8MB3),
    collation(198, "utf8mb3_estonian_ci", &UTF8MB3),
    collation(199, "utf8mb3_spanish_ci", &UTF8MB3),
    collation(200, "utf8mb3_swedish_ci", &UTF8MB3),
    collation(201, "utf8mb3_turkish_ci", &UTF8MB3),
    collation(202, "utf8mb3_czech_ci", &UTF8MB3),
    collation(203, "utf8mb3_danish_ci", &UTF8MB3),
    collation(204, "utf8mb3_lithuanian_ci", &UTF8MB3),
    collation(205, "utf8mb3_slovak_ci", &UTF8MB3),
    collation(206, "utf8mb3_spanish2_ci", &UTF8MB3),
    collation(207, "utf8mb3_roman_ci", &UTF8MB3),
    collation(208, "utf8mb3_persian_ci", &UTF8MB3),
    collation(209, "utf8mb3_esperanto_ci", &UTF8MB3),
    collation(210, "utf8mb3_hungarian_ci", &UTF8MB3),
    collation(211, "utf8mb3_sinhala_ci", &UTF8MB3),
    collation(212, "utf8mb3_german2_ci", &UTF8MB3),
    collation(213, "utf8mb3_croatian_mysql561_ci", &UTF8MB3),
    collation(214, "utf8mb3_unicode_520_ci", &UTF8MB3),
    collation(215, "utf8mb3_vietnamese_ci", &UTF8MB3),
    collation(223, "utf8mb3_general_mysql500_ci", &UTF8MB3),
    collation(224, "utf8mb4_unicode_ci", &UTF8MB4),
    collation(225, "utf8mb4_icelandic_ci", &UTF8MB4),
    collation(226, "utf8mb4_latvian_ci", &UTF8MB4),
    collation(227, "utf8mb4_romanian_ci", &UTF8MB4),
    collation(228, "utf8mb4_slovenian_ci", &UTF8MB4),
    collation(229, "utf8mb4_polish_ci", &UTF8MB4),
    collation(230, "utf8mb4_estonian_ci", &UTF8MB4),
    collation(231, "utf8mb4_spanish_ci", &UTF8MB4),
    collation(232, "utf8mb4_swedish_ci", &UTF8MB4),
    collation(233, "utf8mb4_turkish_ci", &UTF8MB4),
    collation(234, "utf8mb4_czech_ci", &UTF8MB4),
    collation(235, "utf8mb4_danish_ci", &UTF8MB4),
    collation(236, "utf8mb4_lithuanian_ci", &UTF8MB4),
    collation(237, "utf8mb4_slovak_ci", &UTF8MB4),
    collation(238, "utf8mb4_spanish2_ci", &UTF8MB4),
    collation(239, "utf8mb4_roman_ci", &UTF8MB4),
    collation(240, "utf8mb4_persian_ci", &UTF8MB4),
    collation(241, "utf8mb4_esperanto_ci", &UTF8MB4),
    collation(242, "utf8mb4_hungarian_ci", &UTF8MB4),
    collation(243, "utf8mb4_sinhala_ci", &UTF8MB4),
    collation(244, "utf8mb4_german2_ci", &UTF8MB4),
    collation(245, "utf8mb4_croatian_mysql561_ci", &UTF8MB4),
    collation(246, "utf8mb4_unicode_520_ci", &UTF8MB4),
    collation(247, "utf8mb4_vietnamese_ci", &UTF8MB4),
    collation(248, "gb18030_chinese_ci", &GB18030),
    collation(249, "gb18030_bin", &GB18030),
    collation(250, "gb18030_unicode_520_ci", &GB18030),
    collation(255, "utf8mb4_0900_ai_ci", &UTF8MB4),
    collation(278, "utf8mb4_0900_as_cs", &UTF8MB4),
    collation(305, "utf8mb4_0900_as_ci", &UTF8MB4),
    collation(309, "utf8mb4_0900_bin", &UTF8MB4),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order_and_agree() {
        assert!(COLLATIONS.is_sorted_by(|a, b| a.id < b.id));
        for charset in CHARSETS {
            let default = Collation::by_id(charset.default_collation.into()).unwrap();
            assert_eq!(default.charset, *charset);
            assert_eq!(Charset::by_name(charset.name.as_bytes()), Some(*charset));
        }
        for collation in COLLATIONS {
            assert_eq!(Collation::by_name(collation.name.as_bytes()), Some(collation));
            assert!(collation.name.starts_with(collation.charset.name));
        }
    }

    #[test]
    fn what_clients_send_is_known() {
        let name = |id| Collation::by_id(id).map(|collation| collation.name);
        assert_eq!(name(8), Some("latin1_swedish_ci"));
        assert_eq!(name(33), Some("utf8mb3_general_ci"));
        assert_eq!(name(45), Some("utf8mb4_general_ci"));
        assert_eq!(name(63), Some("binary"));
        assert_eq!(name(255), Some("utf8mb4_0900_ai_ci"));
        assert_eq!(name(0), None);
        assert_eq!(Collation::by_id(255).unwrap().handshake_id(), UTF8MB4_COLLATION);
        assert_eq!(Charset::by_name(b"UTF8").unwrap().name, "utf8mb3");
        for (collation, charset) in
            [("utf8mb4_uca1400_ai_ci", "utf8mb4"), ("utf8_bin", "utf8mb3"), ("binary", "binary")]
        {
            assert_eq!(Charset::of_collation(collation.as_bytes()).unwrap().name, charset);
        }
        assert_eq!(Charset::of_collation(b"new_ci"), None);
        assert_eq!(Collation::by_name(b"utf8_BIN").unwrap().id, 83);
    }
}
