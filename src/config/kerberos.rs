//! Kerberos' options: whose credentials are used, and what is lent to a server.

use crate::error::Error;

use super::{option, truth, Config};

/// The options of a connection that has set any.
#[derive(Debug, Default)]
pub(super) struct Kerberos {
    ccache: Option<String>,
    keytab: Option<String>,
    principal: Option<String>,
    delegate: bool,
    delegated_ccache: Option<String>,
}

impl Config {
    /// Kerberos: a client's credentials cache, if it is not the environment's.
    pub fn ccache(&self) -> Option<&str> {
        self.rare.as_ref()?.kerberos.ccache.as_deref()
    }

    /// Kerberos: the key table, if it is not the environment's.
    pub fn keytab(&self) -> Option<&str> {
        self.rare.as_ref()?.kerberos.keytab.as_deref()
    }

    /// Kerberos: this side's own principal, if it is not the default one.
    pub fn principal(&self) -> Option<&str> {
        self.rare.as_ref()?.kerberos.principal.as_deref()
    }

    /// Kerberos: a client lets the server act for it.
    pub fn delegate(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.kerberos.delegate)
    }

    /// Kerberos: where a server stores what its client delegates to it; by default nowhere.
    pub fn delegated_ccache(&self) -> Option<&str> {
        self.rare.as_ref()?.kerberos.delegated_ccache.as_deref()
    }

    /// Sets one of these options; false for a name that is none of them.
    pub(super) fn set_kerberos(&mut self, name: &str, value: Option<&str>) -> Result<bool, Error> {
        let text = value.map(str::to_owned);
        match name {
            "ccache" => self.rare().kerberos.ccache = text,
            "keytab" => self.rare().kerberos.keytab = text,
            "principal" => self.rare().kerberos.principal = text,
            "delegate" => self.rare().kerberos.delegate = truth(value),
            "delegated_ccache" => {
                if value.is_some_and(|name| name.is_empty() || name.contains('\0')) {
                    return Err(option("delegated_ccache", "the name of a credentials cache"));
                }
                self.rare().kerberos.delegated_ccache = text;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn get_kerberos(&self, name: &str) -> Option<String> {
        Some(match name {
            "ccache" => self.ccache()?.to_owned(),
            "keytab" => self.keytab()?.to_owned(),
            "principal" => self.principal()?.to_owned(),
            "delegate" => u8::from(self.delegate()).to_string(),
            "delegated_ccache" => self.delegated_ccache()?.to_owned(),
            _ => return None,
        })
    }
}
