//! The stored form of caching_sha2_password: `$A$`, rounds, salt, and a SHA-crypt digest.
//!
//! The digest is Ulrich Drepper's "Unix crypt using SHA-256" with MySQL's salt of 20 bytes and
//! rounds in thousands.

use aws_lc_rs::digest::{Context, SHA256};

use super::{PASSWORD_LEN_MAX, same, sha256};

const SALT_LEN: usize = 20;
const DIGEST_LEN: usize = 43;
/// Rounds are stored in thousands, as three hexadecimal digits; MySQL's maximum is this many.
const KILOROUNDS_MAX: u32 = 0xfff;

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A password hash in MySQL's `$A$005$...` form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crypted {
    rounds: u32,
    salt: [u8; SALT_LEN],
    digest: [u8; DIGEST_LEN],
}

impl Crypted {
    /// Reads the text form: `$A$`, three hexadecimal digits, `$`, salt, digest.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let rest = text.strip_prefix(b"$A$")?;
        let (kilorounds, rest) = rest.split_at_checked(3)?;
        let kilorounds = u32::from_str_radix(std::str::from_utf8(kilorounds).ok()?, 16).ok()?;
        let (salt, digest) = rest.strip_prefix(b"$")?.split_at_checked(SALT_LEN)?;
        if !(1..=KILOROUNDS_MAX).contains(&kilorounds) {
            return None;
        }
        let rounds = kilorounds * 1000;
        Some(Self { rounds, salt: salt.try_into().ok()?, digest: digest.try_into().ok()? })
    }

    /// Whether `password` is the one that was hashed. Takes milliseconds by design.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        password.len() <= PASSWORD_LEN_MAX
            && same(&digest(password, &self.salt, self.rounds), &self.digest)
    }
}

/// The SHA-crypt digest as text. `p`, `s` and `c` are the specification's P, S and C.
fn digest(key: &[u8], salt: &[u8], rounds: u32) -> [u8; DIGEST_LEN] {
    let twice = sha256(&[key, salt, key]);
    let mut context = Context::new(&SHA256);
    context.update(key);
    context.update(salt);
    context.update(&repeated(twice, key.len()));
    let mut bits = key.len();
    while bits > 0 {
        context.update(if bits & 1 == 1 { &twice } else { key });
        bits >>= 1;
    }
    let first = finish(context);

    let mut context = Context::new(&SHA256);
    for _ in key {
        context.update(key);
    }
    let p = repeated(finish(context), key.len());
    let [times, ..] = first;
    let mut context = Context::new(&SHA256);
    for _ in 0..16 + u32::from(times) {
        context.update(salt);
    }
    let s = repeated(finish(context), salt.len());

    let mut c = first;
    for round in 0..rounds {
        let mut context = Context::new(&SHA256);
        let odd = round & 1 == 1;
        context.update(if odd { &p } else { &c });
        if round % 3 != 0 {
            context.update(&s);
        }
        if round % 7 != 0 {
            context.update(&p);
        }
        context.update(if odd { &c } else { &p });
        c = finish(context);
    }
    encode(&c)
}

fn finish(context: Context) -> [u8; 32] {
    let mut out = [0; 32];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

fn repeated(block: [u8; 32], len: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(len).collect()
}

/// Base64 with SHA-crypt's own alphabet and order of bytes.
fn encode(c: &[u8; 32]) -> [u8; DIGEST_LEN] {
    let mut out = [b'.'; DIGEST_LEN];
    let at = |index: usize| u32::from(c.get(index).copied().unwrap_or(0));
    let mut groups = out.chunks_mut(4);
    // Each group starts where the one before had its second byte; the indices turn by ten.
    let (mut x, mut y, mut z) = (0, 10, 20);
    for _ in 0..10 {
        put_digits(groups.next(), at(x) << 16 | at(y) << 8 | at(z));
        (x, y, z) = ((z + 1) % 30, (x + 1) % 30, (y + 1) % 30);
    }
    put_digits(groups.next(), at(31) << 8 | at(30));
    out
}

fn put_digits(group: Option<&mut [u8]>, mut bits: u32) {
    for digit in group.into_iter().flatten() {
        *digit = ALPHABET.get((bits & 63) as usize).copied().unwrap_or(b'.');
        bits >>= 6;
    }
}
