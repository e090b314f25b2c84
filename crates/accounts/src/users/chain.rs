//! The text of a chain of one-time passwords in a users' file (RFC 2289): the fields of [`OtpState`], with spaces between them.

use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::otp::OtpState;

/// The beginning of the text after the name.
const OTP: &str = "OTP ";

/// Parses the text after the name. `None` if it is not about one-time passwords.
pub(super) fn parse(text: &str) -> Option<Result<OtpState, String>> {
    let fields: Vec<&str> = text.strip_prefix(OTP)?.split_ascii_whitespace().collect();
    let expected = "after OTP hash, sequence number, seed, one-time password and lock were expected";
    let fields = Secret::from(fields.join("\t"));
    Some(OtpState::parse(fields.expose()).map_err(|_| expected.into()))
}

/// Prints the text that [`parse`] parses.
pub(super) fn print(chain: &OtpState) -> Secret {
    let fields = chain.print();
    let spaced = fields.expose().iter().map(|&byte| if byte == b'\t' { b' ' } else { byte });
    OTP.bytes().chain(spaced).collect::<Vec<u8>>().into()
}
