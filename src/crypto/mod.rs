//! Hash families, HMAC, key derivation: thin, over RustCrypto.
