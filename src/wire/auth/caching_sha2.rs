//! `caching_sha2_password`: a SHA-256 scramble while the server remembers the password's digest,
//! otherwise the password itself, inside TLS or encrypted with the server's RSA key.
//!
//! Protocol page: MySQL "Caching_sha2_password information"
//! (`page_caching_sha2_authentication_exchanges`).

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};

use super::{NONCE_LEN, Nonce, PASSWORD_LEN_MAX, pem, same, sha256, xor};

/// Server's data: the scramble was right, OK follows.
pub const FAST_OK: u8 = 0x03;
/// Server's data: send the password itself.
pub const FULL_AUTHENTICATION: u8 = 0x04;
/// Client's data: send me the public key.
pub const REQUEST_PUBLIC_KEY: u8 = 0x02;

/// What a server remembers: SHA256(SHA256(password)).
pub type Stored = [u8; 32];

/// Client: the answer to `nonce`. Empty for an empty password.
pub fn scramble(password: &[u8], nonce: &Nonce) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = sha256(&[password]);
    let twice = sha256(&[&once]);
    xor(once, sha256(&[&twice, nonce.bytes()])).to_vec()
}

/// What a server remembers for `password`.
pub fn stored(password: &[u8]) -> Stored {
    sha256(&[&sha256(&[password])])
}

/// Server: whether `answer` was made from the stored password and `nonce`.
pub fn verify(stored: &Stored, nonce: &Nonce, answer: &[u8]) -> bool {
    let Ok(answer) = <[u8; 32]>::try_from(answer) else { return false };
    let once = xor(answer, sha256(&[stored, nonce.bytes()]));
    same(&sha256(&[&once]), stored)
}

/// Client, inside TLS or on a unix socket: the password as it is sent, with its NUL.
pub fn clear_answer(password: &[u8]) -> Vec<u8> {
    let mut answer = password.to_vec();
    answer.push(0);
    answer
}

/// Server: the password in a clear answer. Longer ones than [`PASSWORD_LEN_MAX`] are refused.
pub fn password_in_clear_answer(answer: &[u8]) -> Option<&[u8]> {
    let password = answer.strip_suffix(&[0]).unwrap_or(answer);
    (password.len() <= PASSWORD_LEN_MAX).then_some(password)
}

/// A password could not be encrypted or decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RsaError {
    /// The text is not an RSA public key in PEM form.
    #[error("not an RSA public key in PEM form")]
    NotAKey,
    /// The key does not fit, the data was damaged, or the password is too long.
    #[error("password could not be encrypted or decrypted")]
    Failed,
    /// No key could be made.
    #[error("RSA key could not be made")]
    NotMade,
}

/// Client, without TLS: the password encrypted with the server's public key.
///
/// Whoever sits between may hand out a key of his own; use it only where the key or the network
/// is trusted.
pub fn encrypt_password(
    public_key_pem: &[u8],
    password: &[u8],
    nonce: &Nonce,
) -> Result<Vec<u8>, RsaError> {
    let der = pem::decode(public_key_pem).ok_or(RsaError::NotAKey)?;
    let key = PublicEncryptingKey::from_der(&der).map_err(|_| RsaError::NotAKey)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| RsaError::NotAKey)?;
    let mut clear = clear_answer(password);
    xor_with_nonce(&mut clear, nonce);
    let mut out = vec![0; key.ciphertext_size()];
    let len = key
        .encrypt(&OAEP_SHA1_MGF1SHA1, &clear, &mut out, None)
        .map_err(|_| RsaError::Failed)?
        .len();
    out.truncate(len);
    Ok(out)
}

/// Server: the key pair that clients without TLS encrypt their password for. Made once at start;
/// clones share it.
#[derive(Clone)]
pub struct RsaKey {
    private: Arc<OaepPrivateDecryptingKey>,
    public_pem: Arc<[u8]>,
}

impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RsaKey")
    }
}

impl RsaKey {
    /// Makes a key of 2048 bits, like a server does; takes a noticeable part of a second.
    pub fn generate() -> Result<Self, RsaError> {
        let private =
            PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| RsaError::NotMade)?;
        let der = private.public_key().as_der().map_err(|_| RsaError::NotMade)?;
        let public_pem = pem::encode(der.as_ref()).into();
        let private = OaepPrivateDecryptingKey::new(private).map_err(|_| RsaError::NotMade)?;
        Ok(Self { private: Arc::new(private), public_pem })
    }

    /// The public key in PEM form, the data of the AuthMoreData that answers
    /// [`REQUEST_PUBLIC_KEY`].
    pub fn public_pem(&self) -> &[u8] {
        &self.public_pem
    }

    /// The password in a client's encrypted answer.
    pub fn decrypt_password(&self, answer: &[u8], nonce: &Nonce) -> Result<Vec<u8>, RsaError> {
        let mut clear = vec![0; self.private.min_output_size()];
        let len = self
            .private
            .decrypt(&OAEP_SHA1_MGF1SHA1, answer, &mut clear, None)
            .map_err(|_| RsaError::Failed)?
            .len();
        clear.truncate(len);
        xor_with_nonce(&mut clear, nonce);
        let password = clear.strip_suffix(&[0]).ok_or(RsaError::Failed)?;
        Ok(password.to_vec())
    }
}

fn xor_with_nonce(bytes: &mut [u8], nonce: &Nonce) {
    let key = nonce.bytes().iter().cycle().take(bytes.len().max(NONCE_LEN));
    bytes.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
}
