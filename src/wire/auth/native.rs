//! `mysql_native_password`: SHA-1 of the password, scrambled with the nonce.
//!
//! Protocol page: MySQL "Native Authentication"
//! (`page_protocol_connection_phase_authentication_methods_native_password_authentication`).

use super::{Nonce, same, sha1, xor};

/// What a server stores: SHA1(SHA1(password)).
pub type Stored = [u8; 20];

/// Client: the answer to `nonce`. Empty for an empty password.
pub fn scramble(password: &[u8], nonce: &Nonce) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = sha1(&[password]);
    let twice = sha1(&[&once]);
    xor(once, sha1(&[nonce.bytes(), &twice])).to_vec()
}

/// What a server stores for `password`.
pub fn stored(password: &[u8]) -> Stored {
    sha1(&[&sha1(&[password])])
}

/// Server: whether `answer` was made from the stored password and `nonce`.
pub fn verify(stored: &Stored, nonce: &Nonce, answer: &[u8]) -> bool {
    let Ok(answer) = <[u8; 20]>::try_from(answer) else { return false };
    let once = xor(answer, sha1(&[nonce.bytes(), stored]));
    same(&sha1(&[&once]), stored)
}
