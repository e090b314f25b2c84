//! The SASL_* codes.

/// The codes of sasl.h, as every other implementation numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum Code {
    /// Success.
    Ok = 0,
    /// A failure without a code of its own.
    Fail = -1,
    /// Out of memory.
    NoMem = -2,
    /// A buffer is too small.
    BufOver = -3,
    /// No mechanism fits.
    NoMech = -4,
    /// The peer broke the protocol.
    BadProt = -5,
    /// The exchange has not ended.
    NotDone = -6,
    /// Wrong parameter of the caller.
    BadParam = -7,
    /// A temporary failure.
    TryAgain = -8,
    /// A frame of a security layer is damaged.
    BadMac = -9,
    /// The server failed mutual authentication.
    BadServ = -10,
    /// The mechanism does not support the request.
    WrongMech = -11,
    /// The call came before the start of the exchange.
    NotInit = -12,
    /// Authentication failed.
    BadAuth = -13,
    /// Authorization failed.
    NoAuthz = -14,
    /// Too weak for the policy.
    TooWeak = -15,
    /// Encryption is needed for this mechanism.
    Encrypt = -16,
    /// One login with a plaintext mechanism would add the user to this mechanism.
    Trans = -17,
    /// The password has expired.
    Expired = -18,
    /// The account is disabled.
    Disabled = -19,
    /// There is no such user.
    NoUser = -20,
    /// The password is locked.
    PwLock = -21,
    /// Nothing to change, or it cannot be changed.
    NoChange = -22,
    /// The versions do not match.
    BadVers = -23,
    /// A server that is needed cannot be reached.
    Unavail = -24,
    /// The user has no verifier for this mechanism.
    NoVerify = -26,
    /// The new password is too weak.
    WeakPass = -27,
    /// The user may set no password.
    NoUserPass = -28,
    /// The old password is needed too.
    NeedOldPasswd = -29,
    /// The new value breaks a constraint.
    ConstraintViolat = -30,
    /// Channel binding failed.
    BadBinding = -32,
    /// The configuration is wrong.
    ConfigErr = -100,
}

impl Code {
    /// All of them, each with its name in sasl.h.
    const NAMES: [(Code, &'static str); 32] = [
        (Code::Ok, "SASL_OK"),
        (Code::Fail, "SASL_FAIL"),
        (Code::NoMem, "SASL_NOMEM"),
        (Code::BufOver, "SASL_BUFOVER"),
        (Code::NoMech, "SASL_NOMECH"),
        (Code::BadProt, "SASL_BADPROT"),
        (Code::NotDone, "SASL_NOTDONE"),
        (Code::BadParam, "SASL_BADPARAM"),
        (Code::TryAgain, "SASL_TRYAGAIN"),
        (Code::BadMac, "SASL_BADMAC"),
        (Code::BadServ, "SASL_BADSERV"),
        (Code::WrongMech, "SASL_WRONGMECH"),
        (Code::NotInit, "SASL_NOTINIT"),
        (Code::BadAuth, "SASL_BADAUTH"),
        (Code::NoAuthz, "SASL_NOAUTHZ"),
        (Code::TooWeak, "SASL_TOOWEAK"),
        (Code::Encrypt, "SASL_ENCRYPT"),
        (Code::Trans, "SASL_TRANS"),
        (Code::Expired, "SASL_EXPIRED"),
        (Code::Disabled, "SASL_DISABLED"),
        (Code::NoUser, "SASL_NOUSER"),
        (Code::PwLock, "SASL_PWLOCK"),
        (Code::NoChange, "SASL_NOCHANGE"),
        (Code::BadVers, "SASL_BADVERS"),
        (Code::Unavail, "SASL_UNAVAIL"),
        (Code::NoVerify, "SASL_NOVERIFY"),
        (Code::WeakPass, "SASL_WEAKPASS"),
        (Code::NoUserPass, "SASL_NOUSERPASS"),
        (Code::NeedOldPasswd, "SASL_NEED_OLD_PASSWD"),
        (Code::ConstraintViolat, "SASL_CONSTRAINT_VIOLAT"),
        (Code::BadBinding, "SASL_BADBINDING"),
        (Code::ConfigErr, "SASL_CONFIGERR"),
    ];

    /// The name in sasl.h.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(code, _)| *code == self).map_or("SASL_FAIL", |(_, name)| name)
    }

    /// The code with that number; [`Code::Fail`] for a number that sasl.h does not have.
    pub fn of(number: i32) -> Self {
        Self::NAMES.iter().map(|(code, _)| *code).find(|code| *code as i32 == number).unwrap_or(Code::Fail)
    }
}
