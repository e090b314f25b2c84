//! The mechanisms, one file each, and the registry of all of them.
//!
//! The ranks set the preference: Kerberos from 80, HT with channel binding 78, SCRAM with channel binding from 70, HT
//! without it 58, SCRAM by strength of hash from 50, DIGEST-MD5 30, CRAM-MD5 and EXTERNAL 20, OAUTHBEARER 13, XOAUTH2 12,
//! PLAIN and LOGIN 10, OTP 5, ANONYMOUS 0. Mechanisms with equal ranks keep the caller's order.
//!
//! ```
//! use authen_sasl_rust::mechanism::find;
//!
//! let rank = |name| find(name).map(|mechanism| mechanism.rank);
//! assert!(rank("SCRAM-SHA-256-PLUS") > rank("scram-sha-256") && rank("SCRAM-SHA-256") > rank("PLAIN"));
//! assert_eq!(rank("NTLM"), None);
//! ```

#[cfg(feature = "anonymous")]
mod anonymous;
#[cfg(feature = "oauth")]
mod bearer;
#[cfg(feature = "cram-md5")]
mod cram_md5;
#[cfg(feature = "digest-md5")]
mod digest_md5;
#[cfg(feature = "external")]
mod external;
#[cfg(all(fuzzing, feature = "digest-md5"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "ht")]
mod ht;
#[cfg(feature = "login")]
mod login;
#[cfg(feature = "oauth")]
mod oauthbearer;
#[cfg(feature = "otp")]
mod otp;
#[cfg(feature = "plain")]
mod plain;
#[cfg(feature = "scram")]
mod scram;
#[cfg(feature = "oauth")]
mod xoauth2;

use std::sync::{Arc, OnceLock};

use crate::contract::Mechanism;
use crate::registry::Registry;

/// Makes [`ALL`] from the families, each with its feature.
macro_rules! families {
    ($($feature:literal: [$($mechanism:path),* $(,)?])*) => {
        /// All mechanisms of this build that need no library of the system.
        pub static ALL: &[&dyn Mechanism] = &[$($(#[cfg(feature = $feature)] &$mechanism,)*)*];
    };
}

families! {
    "scram": [
        scram::SHA3_512_PLUS,
        scram::SHA_512_PLUS,
        scram::SHA_384_PLUS,
        scram::SHA_256_PLUS,
        scram::SHA_224_PLUS,
        scram::SHA_1_PLUS,
        scram::SHA3_512,
        scram::SHA_512,
        scram::SHA_384,
        scram::SHA_256,
        scram::SHA_224,
        scram::SHA_1,
    ]
    "digest-md5": [digest_md5::MECHANISM]
    "cram-md5": [cram_md5::MECHANISM]
    "external": [external::MECHANISM]
    "plain": [plain::MECHANISM]
    "oauth": [oauthbearer::MECHANISM, xoauth2::MECHANISM]
    "login": [login::MECHANISM]
    "anonymous": [anonymous::MECHANISM]
    "ht": [
        ht::HT2_SHA_512_EXPR,
        ht::HT2_SHA_512_UNIQ,
        ht::HT2_SHA_512_ENDP,
        ht::HT2_SHA_512_NONE,
        ht::HT2_SHA_256_EXPR,
        ht::HT2_SHA_256_UNIQ,
        ht::HT2_SHA_256_ENDP,
        ht::HT2_SHA_256_NONE,
        ht::HT_SHA_512_EXPR,
        ht::HT_SHA_512_UNIQ,
        ht::HT_SHA_512_ENDP,
        ht::HT_SHA_512_NONE,
        ht::HT_SHA_256_EXPR,
        ht::HT_SHA_256_UNIQ,
        ht::HT_SHA_256_ENDP,
        ht::HT_SHA_256_NONE,
    ]
    "otp": [otp::MECHANISM]
}

/// The registry of [`ALL`].
pub fn registry() -> Arc<Registry> {
    static REGISTRY: OnceLock<Arc<Registry>> = OnceLock::new();
    Arc::clone(REGISTRY.get_or_init(|| Arc::new(Registry::new(ALL.iter().copied()))))
}

/// The mechanism of that name, upper or lower case.
pub fn find(name: &str) -> Option<&'static dyn Mechanism> {
    ALL.iter().copied().find(|m| m.name.eq_ignore_ascii_case(name))
}
