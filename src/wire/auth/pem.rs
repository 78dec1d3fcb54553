//! A public key's PEM form: base64 between two lines.
//!
//! Only what the exchange of caching_sha2_password needs; not a parser for certificate files.

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// Characters on a line.
const LINE: usize = 64;
/// Bytes of PEM that are looked at; a key of 16384 bits has about 2,900.
const LEN_MAX: usize = 8192;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The PEM form of a SubjectPublicKeyInfo in DER.
pub(super) fn encode(der: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(der.len() * 4 / 3 + 4);
    for group in der.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = ALPHABET.get((bits >> (18 - 6 * place) & 63) as usize);
            body.push(if place > group.len() { b'=' } else { digit.copied().unwrap_or(b'=') });
        }
    }
    let mut out = Vec::with_capacity(body.len() + 80);
    out.extend_from_slice(BEGIN.as_bytes());
    for line in body.chunks(LINE) {
        out.push(b'\n');
        out.extend_from_slice(line);
    }
    out.push(b'\n');
    out.extend_from_slice(END.as_bytes());
    out.push(b'\n');
    out
}

/// The DER in a PEM text.
pub(super) fn decode(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem.get(..LEN_MAX.min(pem.len()))?).ok()?;
    let (_, body) = text.split_once(BEGIN)?;
    let (body, _) = body.split_once(END)?;
    let mut out = Vec::with_capacity(body.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in body.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let digit = ALPHABET.iter().position(|&letter| letter == byte)?;
        bits = bits << 6 | digit as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_come_back(der: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&der)), Some(der));
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn base64_is_the_usual_one() {
        let pem = String::from_utf8(encode(b"hello")).unwrap();
        assert_eq!(pem, format!("{BEGIN}\naGVsbG8=\n{END}\n"));
    }
}
