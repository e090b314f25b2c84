//! The part of the C surface that makes states of OTP; the rules are those of the crate.

use authen_sasl_rust::crypto::otp::OtpHash;
use authen_sasl_rust::error::{Application, Error};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::otp::{self, OtpState, FIRST_SEQUENCE, LAST_SEQUENCE, MAX_SEQUENCE};
use authen_sasl_rust::world::OsRandom;

use super::keys::give;
use super::shielded::{shielded, DEFECT};
use super::slice::Slice;

/// Makes the state of a new chain. `hash` and `seed` may be absent; a seed that is made begins like `host`; `sequence` is 0 for the
/// usual one. Gives 1 and the text, or 0 and the reason, lent through `out`.
///
/// # Safety
/// The module's rules; the text is freed by [`super::slice::asr_text_free`].
#[no_mangle]
pub unsafe extern "C" fn asr_make_otp_state(
    phrase: Slice,
    hash: Slice,
    seed: Slice,
    host: Slice,
    sequence: u32,
    out: *mut Slice,
    owner: *mut *mut String,
) -> i32 {
    // SAFETY: the module's rules.
    unsafe {
        let phrase = Secret::new(phrase.bytes().unwrap_or_default());
        let (hash, seed, host) = (hash.text(), seed.text(), host.text().unwrap_or_default());
        give(
            shielded(Err(Error::System(DEFECT)), || made(&phrase, hash.as_deref(), seed.as_deref(), &host, sequence)),
            out,
            owner,
        )
    }
}

fn made(phrase: &Secret, hash: Option<&str>, seed: Option<&str>, host: &str, sequence: u32) -> Result<String, Error> {
    otp::check_phrase(phrase)?;
    let hash = hash.map_or(Some(OtpHash::Md5), OtpHash::find);
    let hash = hash.ok_or(Application::Option { name: "hash", range: "md5 or sha1" })?;
    let seed = match seed {
        Some(seed) => {
            otp::seed(seed).ok_or(Application::Option { name: "seed", range: "1 to 16 letters and digits" })?
        }
        None => otp::new_seed(host, "", &mut OsRandom)?,
    };
    let sequence = if sequence == 0 { FIRST_SEQUENCE } else { sequence };
    let (least, most) = (LAST_SEQUENCE + 1, MAX_SEQUENCE);
    if !(least..=most).contains(&sequence) {
        return Err(Application::Number { name: "sequence", least, most }.into());
    }
    let state = OtpState::new(hash, phrase.expose(), &seed, sequence).print();
    Ok(state.expose_str().unwrap_or_default().to_owned())
}
