//! Scrambles against stored forms, both ways, with vectors from real servers.

use proptest::prelude::*;

use super::*;

const NONCE: Nonce = Nonce::from_bytes(*b"abcdefghijklmnopqrst");

/// Password `hashcat` as MySQL 8.0 stored it (published as hashcat's example for mode 7401).
fn mysql_stored() -> Vec<u8> {
    let salt = b"\xF9\xCC\x98\xCE\x08\x89\x29\x24\xF5\x0A\x21\x3B\x6B\xC5\x71\xA2\xC1\x17\x78\xC5";
    let mut text = b"$A$005$".to_vec();
    text.extend_from_slice(salt);
    text.extend_from_slice(b"bTy95Y99eAME1dwEkHOA1ndHGBWz.1bxSSRkuTXFGV/");
    text
}

#[test]
fn mysqls_own_stored_form_is_understood() {
    let hash = PasswordHash::parse(&mysql_stored()).unwrap();
    assert_eq!(hash.verify_clear(b"hashcat"), Verdict::Accepted);
    assert_eq!(hash.verify_clear(b"hashcats"), Verdict::Denied);
    let scramble = caching_sha2::scramble(b"hashcat", &NONCE);
    assert_eq!(hash.verify_sha2(&NONCE, &scramble), Verdict::NeedsClear);
    let hex = mysql_stored().iter().fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02X}"));
    assert_eq!(PasswordHash::parse(hex.as_bytes()).unwrap(), hash);
}

#[test]
fn mariadbs_own_stored_form_is_understood() {
    // SELECT PASSWORD('demo') on MariaDB 10.11.19.
    let hash = PasswordHash::parse(b"*C142FB215B6E05B7C134B1A653AD4B455157FD79").unwrap();
    assert_eq!(hash.verify_clear(b"demo"), Verdict::Accepted);
    let scramble = native::scramble(b"demo", &NONCE);
    assert_eq!(hash.verify_native(&NONCE, &scramble), Verdict::Accepted);
    assert_eq!(hash.verify_native(&NONCE, b""), Verdict::Denied);
}

/// Nonce and answer of a login as `demo` that MariaDB 10.11.19 accepted; the second answer is the
/// same by caching_sha2_password's formula, computed by other means.
#[test]
fn recorded_logins_are_made_again() {
    let nonce = Nonce::from_bytes(*b"[$@Tf$|ix@uOhAI*7rZN");
    let native =
        b"\xd7\x2d\x9a\x41\x95\x97\x37\xd4\xa8\x7c\x4d\x37\x1c\x05\xe8\xd4\xe5\x45\x36\x79";
    let sha2 = b"\x96\x7c\x59\xba\x01\x29\x86\x2e\xca\x7c\x29\xda\x4a\xcd\x9f\x1b\
        \xa6\x3d\x83\x58\xa1\x1f\x21\x68\x5e\x3f\x8d\x3d\xd7\x15\xb2\xe5";
    assert_eq!(native::scramble(b"demo", &nonce), native);
    assert_eq!(caching_sha2::scramble(b"demo", &nonce), sha2);
}

#[test]
fn empty_passwords_have_empty_answers() {
    let empty = PasswordHash::from_clear(b"");
    let other = PasswordHash::from_clear(b"x");
    for plugin in [PasswordHash::verify_native, PasswordHash::verify_sha2] {
        assert_eq!(plugin(&empty, &NONCE, b""), Verdict::Accepted);
        assert_eq!(plugin(&other, &NONCE, b""), Verdict::Denied);
        assert_eq!(plugin(&empty, &NONCE, &[0; 20]), Verdict::Denied);
    }
    assert!(native::scramble(b"", &NONCE).is_empty());
}

#[test]
fn the_key_exchange_carries_a_password() {
    let key = RsaFixture::new();
    for password in [&b""[..], b"demo", &[b'x'; 200]] {
        let sent = caching_sha2::encrypt_password(key.0.public_pem(), password, &NONCE).unwrap();
        assert_eq!(key.0.decrypt_password(&sent, &NONCE).unwrap(), password);
        let other = Nonce::from_bytes([1; NONCE_LEN]);
        assert_ne!(key.0.decrypt_password(&sent, &other).as_deref(), Ok(password));
    }
    let long = caching_sha2::encrypt_password(key.0.public_pem(), &[b'x'; 250], &NONCE);
    assert_eq!(long, Err(caching_sha2::RsaError::Failed));
    assert!(key.0.decrypt_password(b"short", &NONCE).is_err());
    let no_key = caching_sha2::encrypt_password(b"no key", b"demo", &NONCE);
    assert_eq!(no_key, Err(caching_sha2::RsaError::NotAKey));
}

struct RsaFixture(caching_sha2::RsaKey);

impl RsaFixture {
    fn new() -> Self {
        Self(caching_sha2::RsaKey::generate().unwrap())
    }
}

#[test]
fn nonces_are_text_and_differ() {
    let (one, two) = (Nonce::generate().unwrap(), Nonce::generate().unwrap());
    assert_ne!(one, two);
    assert!(one.bytes().iter().all(|&byte| byte != 0 && byte != b'$' && byte < 0x80));
}

#[test]
fn nonces_come_in_parts() {
    let back = b"ijklmnopqrst\0";
    assert_eq!(Nonce::from_parts(b"abcdefgh", back), Some(NONCE));
    assert_eq!(Nonce::from_parts(NONCE.bytes(), b""), Some(NONCE));
    assert_eq!(Nonce::from_parts(b"abcdefgh", b"short\0"), None);
    assert_eq!(Nonce::from_parts(b"abcdefgh", b"ijklmnopqrstu"), None);
}

#[test]
fn other_texts_are_no_hashes() {
    for text in ["", "*", "*12", "plain", "$A$005$short", "0x24", "$A$000$"] {
        assert_eq!(PasswordHash::parse(text.as_bytes()), Err(InvalidHash), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn right_passwords_are_accepted_and_wrong_ones_denied(
        password in prop::collection::vec(1_u8..128, 1..40),
        wrong in prop::collection::vec(1_u8..128, 1..40),
        nonce: [u8; NONCE_LEN],
    ) {
        prop_assume!(password != wrong);
        let hash = PasswordHash::from_clear(&password);
        let nonce = Nonce::from_bytes(nonce);
        let accepted = Verdict::Accepted;
        prop_assert_eq!(hash.verify_clear(&password), accepted);
        prop_assert_eq!(hash.verify_native(&nonce, &native::scramble(&password, &nonce)), accepted);
        prop_assert_eq!(
            hash.verify_sha2(&nonce, &caching_sha2::scramble(&password, &nonce)), accepted
        );
        let denied = Verdict::Denied;
        prop_assert_eq!(hash.verify_clear(&wrong), denied);
        prop_assert_eq!(hash.verify_native(&nonce, &native::scramble(&wrong, &nonce)), denied);
        prop_assert_eq!(hash.verify_sha2(&nonce, &caching_sha2::scramble(&wrong, &nonce)), denied);
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = PasswordHash::parse(&bytes);
        let hash = PasswordHash::from_clear(b"x");
        let _ = hash.verify_native(&NONCE, &bytes);
        let _ = hash.verify_sha2(&NONCE, &bytes);
        let _ = caching_sha2::password_in_clear_answer(&bytes);
    }
}
