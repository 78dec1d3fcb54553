//! Passwords on the wire: what clients prove and servers check, without a network.
//!
//! The server side checks against a [`PasswordHash`], the client side scrambles a clear password.
//! Which plugin is used with whom, and who may log in, is decided elsewhere.
//!
//! Protocol pages: MySQL "Authentication Methods", "Caching_sha2_password information"
//! (`page_caching_sha2_authentication_exchanges`), MariaDB "Authentication Plugins".

pub mod caching_sha2;
mod crypt;
mod hash;
pub mod native;
mod pem;

use aws_lc_rs::{digest, rand};

pub use hash::{InvalidHash, PasswordHash, Verdict};

/// Plugin name `mysql_native_password`.
pub const NATIVE: &[u8] = b"mysql_native_password";
/// Plugin name `caching_sha2_password`.
pub const CACHING_SHA2: &[u8] = b"caching_sha2_password";
/// Plugin name `mysql_clear_password`: the password in the clear, with a NUL.
pub const CLEAR: &[u8] = b"mysql_clear_password";

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 20;

/// Longest clear password in bytes, as in MySQL; longer ones would make the checks slow.
pub const PASSWORD_LEN_MAX: usize = 256;

/// Twenty random bytes that a server sends and a password is scrambled with; once per login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; NONCE_LEN]);

/// The random source of the operating system failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes to be had")]
pub struct NoRandomness;

impl Nonce {
    /// A new nonce, in ASCII without NUL and `$`, because clients treat it as text.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; NONCE_LEN];
        rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
        for byte in &mut bytes {
            *byte &= 0x7f;
            if matches!(*byte, 0 | b'$') {
                *byte += 1;
            }
        }
        Ok(Self(bytes))
    }

    /// A nonce of these bytes.
    pub const fn from_bytes(bytes: [u8; NONCE_LEN]) -> Self {
        Self(bytes)
    }

    /// The nonce that a packet has in one or two parts, followed by a NUL or not.
    pub fn from_parts(front: &[u8], back: &[u8]) -> Option<Self> {
        let mut bytes = [0; NONCE_LEN];
        let mut parts = front.iter().chain(back);
        for byte in &mut bytes {
            *byte = *parts.next()?;
        }
        match parts.next() {
            None | Some(0) => Some(Self(bytes)),
            Some(_) => None,
        }
    }

    /// The bytes.
    pub const fn bytes(&self) -> &[u8; NONCE_LEN] {
        &self.0
    }
}

/// The digest of all `parts` together. `N` must be the algorithm's output length.
fn digest_of<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; N];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    digest_of(&digest::SHA1_FOR_LEGACY_USE_ONLY, parts)
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    digest_of(&digest::SHA256, parts)
}

fn xor<const N: usize>(a: [u8; N], b: [u8; N]) -> [u8; N] {
    let mut out = a;
    out.iter_mut().zip(b).for_each(|(to, byte)| *to ^= byte);
    out
}

/// Compares without telling by its time where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests;
