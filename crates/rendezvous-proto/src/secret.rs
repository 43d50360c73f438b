//! A key of its own for each use of the server's secret.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// HKDF-Expand with SHA-256 for one block (RFC 5869 §2.3). Keys with different
/// labels say nothing about each other or about the secret.
pub(crate) fn derive(secret: &[u8; 32], label: &str) -> [u8; 32] {
    expand(secret, label.as_bytes())
}

fn expand(secret: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(info);
    mac.update(&[1]);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_hkdf_expand() {
        // RFC 5869 §A.1: PRK, info, and the first 32 bytes of OKM.
        let mut secret = [0; 32];
        let prk = "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5";
        hex::decode_to_slice(prk, &mut secret).unwrap();
        let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap();
        assert_eq!(
            hex::encode(expand(&secret, &info)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
        );
    }
}
