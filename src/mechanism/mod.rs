//! The mechanisms, one file each, and the registry of all of them.
//!
//! The ranks set the preference: Kerberos from 80, HT with channel binding 78, SCRAM with channel binding from 70, HT
//! without it 58, SCRAM by strength of hash from 50, DIGEST-MD5 30, CRAM-MD5 and EXTERNAL 20, OAUTHBEARER 13, XOAUTH2 12,
//! PLAIN and LOGIN 10, ANONYMOUS 0. Mechanisms with equal ranks keep the caller's order.
//!
//! ```
//! use authen_sasl_rust::mechanism::find;
//!
//! let rank = |name| find(name).map(|mechanism| mechanism.rank);
//! assert!(rank("SCRAM-SHA-256-PLUS") > rank("scram-sha-256") && rank("SCRAM-SHA-256") > rank("PLAIN"));
//! assert_eq!(rank("OTP"), None);
//! ```

mod anonymous;
mod bearer;
mod cram_md5;
mod digest_md5;
mod external;
#[cfg(fuzzing)]
pub mod fuzzing;
mod ht;
mod login;
mod oauthbearer;
mod plain;
mod scram;
mod xoauth2;

use std::sync::{Arc, OnceLock};

use crate::contract::Mechanism;
use crate::registry::Registry;

/// All mechanisms that need no library of the system, one line each.
pub static ALL: &[&dyn Mechanism] = &[
    &scram::SHA3_512_PLUS,
    &scram::SHA_512_PLUS,
    &scram::SHA_384_PLUS,
    &scram::SHA_256_PLUS,
    &scram::SHA_224_PLUS,
    &scram::SHA_1_PLUS,
    &scram::SHA3_512,
    &scram::SHA_512,
    &scram::SHA_384,
    &scram::SHA_256,
    &scram::SHA_224,
    &scram::SHA_1,
    &digest_md5::MECHANISM,
    &cram_md5::MECHANISM,
    &external::MECHANISM,
    &plain::MECHANISM,
    &oauthbearer::MECHANISM,
    &xoauth2::MECHANISM,
    &login::MECHANISM,
    &anonymous::MECHANISM,
    &ht::HT2_SHA_512_EXPR,
    &ht::HT2_SHA_512_UNIQ,
    &ht::HT2_SHA_512_ENDP,
    &ht::HT2_SHA_512_NONE,
    &ht::HT2_SHA_256_EXPR,
    &ht::HT2_SHA_256_UNIQ,
    &ht::HT2_SHA_256_ENDP,
    &ht::HT2_SHA_256_NONE,
    &ht::HT_SHA_512_EXPR,
    &ht::HT_SHA_512_UNIQ,
    &ht::HT_SHA_512_ENDP,
    &ht::HT_SHA_512_NONE,
    &ht::HT_SHA_256_EXPR,
    &ht::HT_SHA_256_UNIQ,
    &ht::HT_SHA_256_ENDP,
    &ht::HT_SHA_256_NONE,
];

/// The registry of [`ALL`].
pub fn registry() -> Arc<Registry> {
    static REGISTRY: OnceLock<Arc<Registry>> = OnceLock::new();
    Arc::clone(REGISTRY.get_or_init(|| Arc::new(Registry::new(ALL.iter().copied()))))
}

/// The mechanism of that name, upper or lower case.
pub fn find(name: &str) -> Option<&'static dyn Mechanism> {
    ALL.iter().copied().find(|m| m.name.eq_ignore_ascii_case(name))
}
