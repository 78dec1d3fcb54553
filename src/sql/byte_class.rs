//! What each byte is to the tokeniser, for every class of client character set.
//!
//! The servers make this table for each charset from its ctype (`init_state_maps` in
//! `mysys/charset.cc`). Bytes beyond ASCII that they take for no letter only make a syntax error
//! there, so they count as letters here; those that they take for a space do not.

use super::mode::CharsetClass;

pub(super) const SPACE: u8 = 1;
pub(super) const WORD: u8 = 2;
pub(super) const WORD_START: u8 = 4;

/// The classes of each byte.
pub(super) fn of(charset: CharsetClass) -> &'static [u8; 256] {
    match charset {
        CharsetClass::SpaceA0 => &SPACE_A0,
        CharsetClass::SpaceFf => &SPACE_FF,
        CharsetClass::Swe7 => &SWE7,
        CharsetClass::AsciiSafe | CharsetClass::Big5 | CharsetClass::Gbk | CharsetClass::Sjis => {
            &PLAIN
        }
    }
}

static PLAIN: [u8; 256] = {
    let mut class = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        class[byte] = match b {
            b'\t'..=b'\r' | b' ' => SPACE,
            b'0'..=b'9' => WORD,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80..=0xff => WORD | WORD_START,
            _ => 0,
        };
        byte += 1;
    }
    class
};

static SPACE_A0: [u8; 256] = with(PLAIN, &[0xa0], SPACE);
static SPACE_FF: [u8; 256] = with(PLAIN, &[0xff], SPACE);
static SWE7: [u8; 256] = with(PLAIN, b"[]^{}~", WORD | WORD_START);

const fn with(mut class: [u8; 256], bytes: &[u8], of: u8) -> [u8; 256] {
    let mut at = 0;
    while at < bytes.len() {
        class[bytes[at] as usize] = of;
        at += 1;
    }
    class
}
