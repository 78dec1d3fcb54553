//! What the proxy stores of a password, and the checks against it.

use std::fmt;

use super::crypt::Crypted;
use super::{Nonce, PASSWORD_LEN_MAX, caching_sha2, native, same};

/// A password in the forms that logins are checked against. Which forms there are depends on what
/// it was made from; [`Self::merged`] puts several together.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    empty: bool,
    native: Option<native::Stored>,
    sha2: Option<caching_sha2::Stored>,
    crypted: Option<Crypted>,
}

/// The answer to "is this the password?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Accepted,
    /// It is not.
    Denied,
    /// The stored form cannot tell from a scramble: ask for the password itself.
    NeedsClear,
}

/// A text that is no password hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected *HEX40 (native), HEX64 (SHA256 of SHA256) or $A$005$... (caching_sha2_password)")]
pub struct InvalidHash;

impl PasswordHash {
    /// All forms that a clear password gives.
    pub fn from_clear(password: &[u8]) -> Self {
        Self {
            empty: password.is_empty(),
            native: Some(native::stored(password)),
            sha2: Some(caching_sha2::stored(password)),
            crypted: None,
        }
    }

    /// Reads one stored form: `*` and 40 hexadecimal digits (as MySQL and MariaDB show native
    /// passwords), 64 hexadecimal digits of SHA256(SHA256(password)), `$A$005$...` as MySQL stores
    /// caching_sha2_password, or the latter as `0x` and hexadecimal digits.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidHash> {
        let none = Self { empty: false, native: None, sha2: None, crypted: None };
        let hash = if let Some(hex) = text.strip_prefix(b"*") {
            Self { native: Some(unhex_array(hex).ok_or(InvalidHash)?), ..none }
        } else if let Some(hex) = text.strip_prefix(b"0x") {
            let crypted = unhex(hex).and_then(|text| Crypted::parse(&text));
            Self { crypted: Some(crypted.ok_or(InvalidHash)?), ..none }
        } else if text.starts_with(b"$A$") {
            Self { crypted: Some(Crypted::parse(text).ok_or(InvalidHash)?), ..none }
        } else {
            Self { sha2: Some(unhex_array(text).ok_or(InvalidHash)?), ..none }
        };
        let empty = hash.native == Some(native::stored(b""))
            || hash.sha2 == Some(caching_sha2::stored(b""));
        Ok(Self { empty, ..hash })
    }

    /// This hash, with the forms of `other` where it has none itself. Both must be of the same
    /// password: each form is enough to log in.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            empty: self.empty || other.empty,
            native: self.native.or(other.native),
            sha2: self.sha2.or(other.sha2),
            crypted: self.crypted.or(other.crypted),
        }
    }

    /// Checks the answer of a mysql_native_password client.
    pub fn verify_native(&self, nonce: &Nonce, answer: &[u8]) -> Verdict {
        if self.empty || answer.is_empty() {
            return self.verify_empty(answer);
        }
        match &self.native {
            Some(stored) => verdict(native::verify(stored, nonce, answer)),
            None => Verdict::NeedsClear,
        }
    }

    /// Checks the scramble of a caching_sha2_password client.
    pub fn verify_sha2(&self, nonce: &Nonce, answer: &[u8]) -> Verdict {
        if self.empty || answer.is_empty() {
            return self.verify_empty(answer);
        }
        match &self.sha2 {
            Some(stored) => verdict(caching_sha2::verify(stored, nonce, answer)),
            None => Verdict::NeedsClear,
        }
    }

    /// Checks a clear password (without its NUL). May take milliseconds, when only the
    /// `$A$005$` form is there: [`Self::from_clear`] of an accepted password is worth keeping.
    pub fn verify_clear(&self, password: &[u8]) -> Verdict {
        if password.len() > PASSWORD_LEN_MAX {
            return Verdict::Denied;
        }
        verdict(if let Some(stored) = &self.sha2 {
            same(&caching_sha2::stored(password), stored)
        } else if let Some(crypted) = &self.crypted {
            crypted.verify(password)
        } else if let Some(stored) = &self.native {
            same(&native::stored(password), stored)
        } else {
            false
        })
    }

    /// Whether scrambles of mysql_native_password can be checked.
    pub const fn checks_native(&self) -> bool {
        self.empty || self.native.is_some()
    }

    /// Whether scrambles of caching_sha2_password can be checked.
    pub const fn checks_sha2(&self) -> bool {
        self.empty || self.sha2.is_some()
    }

    /// An empty answer says "no password" and is right only for an empty one.
    fn verify_empty(&self, answer: &[u8]) -> Verdict {
        verdict(self.empty && answer.is_empty())
    }
}

/// Never shows what is stored: a native hash alone is enough to log in.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

const fn verdict(accepted: bool) -> Verdict {
    if accepted { Verdict::Accepted } else { Verdict::Denied }
}

fn unhex(hex: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = hex.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
}

fn unhex_array<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    unhex(hex)?.try_into().ok()
}
