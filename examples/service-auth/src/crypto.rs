//! The cryptography of `jsonwebtoken`: HMAC of the crate `ring`, which TLS uses too, and nothing else.
//!
//! The crate's own choice, `rust_crypto`, brings RSA and the elliptic curves of other signatures with it, of which no token
//! here needs any; `rsa` has an open advisory (RUSTSEC-2023-0071). See decision 0038.
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
};
use ring::hmac;
use signature::{Error, Signer, Verifier};

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes `jsonwebtoken` use this cryptography. [`Keys`](crate::Keys) call it; a program that uses `jsonwebtoken` before it has
/// any keys calls it first. Further calls do nothing.
pub fn install() {
    let _ = PROVIDER.install_default();
}

/// An HMAC key with its algorithm.
struct Hmac(Algorithm, hmac::Key);
impl Hmac {
    fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self> {
        let hash = match algorithm {
            Algorithm::HS256 => hmac::HMAC_SHA256,
            Algorithm::HS384 => hmac::HMAC_SHA384,
            Algorithm::HS512 => hmac::HMAC_SHA512,
            _ => return Err(ErrorKind::InvalidAlgorithm.into()),
        };
        Ok(Hmac(algorithm, hmac::Key::new(hash, key)))
    }
}
impl Signer<Vec<u8>> for Hmac {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(hmac::sign(&self.1, message).as_ref().to_vec())
    }
}
impl Verifier<Vec<u8>> for Hmac {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        hmac::verify(&self.1, message, signature).map_err(|_| Error::new())
    }
}
impl JwtSigner for Hmac {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}
impl JwtVerifier for Hmac {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Ok(Box::new(Hmac::new(*algorithm, key.as_bytes())?))
}
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    Ok(Box::new(Hmac::new(*algorithm, key.try_get_as_bytes()?)?))
}
