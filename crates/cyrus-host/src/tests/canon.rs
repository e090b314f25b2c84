//! Canonical names, with a plugin that the test makes.

use std::sync::Arc;

use super::super::canon::Canon;
use super::super::inquiry::Inquiry;
use super::super::options::Options;
use super::{compile, Folder};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::error::{Code, Error};
use saslplug::flag;

const BOTH: u32 = flag::CU_AUTHID | flag::CU_AUTHZID;

/// Loads the plugin with an option that says how it must fail, and passes names to it.
fn with(folder: &Folder, failure: &str, names: &[(&str, u32)]) -> Result<Vec<Result<String, Error>>, Error> {
    let mut options = Options::default();
    options.set("canon_failure", failure)?;
    let options = Arc::new(options);
    let canon = Canon::load(&[folder.path("")], "canon", &options, None)?;
    let config = Config::default();
    let name = |(name, flags): &(&str, u32)| {
        let name = canon.name(&mut Inquiry::new(&options, None, &config, Some("example.org"))?, name, *flags)?;
        Ok(name.unwrap_or_else(|| "(unknown)".into()))
    };
    Ok(names.iter().map(name).collect())
}

#[test]
fn a_plugin_makes_names_canonical() {
    let folder = Folder::new("canon");
    compile("canon.c", &folder.path("libcanon.so"), &["-shared", "-fPIC"]);
    let long = "X".repeat(1022);
    let names = [("Fred", flag::CU_AUTHID), (" Wilma\t", flag::CU_AUTHZID), ("B\u{e4}RNEY", BOTH), (&long, BOTH)];
    let made: Vec<String> = with(&folder, "", &names).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(made, ["fred", "wilma", "b\u{e4}rney", &long.to_lowercase()]);

    let flags = [("fred", flag::CU_AUTHID), ("fred", flag::CU_AUTHZID), ("fred", BOTH)];
    let made: Vec<String> = with(&folder, "flags", &flags).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(made, ["fred1", "fred2", "fred3"]);

    let too_long = "X".repeat(1024);
    for name in ["", " \t ", "a\0b", &too_long] {
        let error = with(&folder, "", &[(name, BOTH)]).unwrap().remove(0).unwrap_err();
        assert_eq!(error.code(), Code::BadProt, "{error}");
    }
    assert_eq!(with(&folder, "unknown", &[("Fred", BOTH)]).unwrap(), [Ok("(unknown)".into())]);
    // The peer cannot distinguish such a user from an unknown one. The error text has the reason.
    let error = with(&folder, "refuse", &[("Fred", BOTH)]).unwrap().remove(0).unwrap_err();
    assert_eq!(error.code(), Code::BadAuth, "{error}");
    let reason = "canon_user plugin canon failed with SASL_BADPROT: Fred is nobody in realm example.org";
    assert!(error.to_string().contains(reason), "{error}");
    let error = with(&folder, "away", &[("Fred", BOTH)]).unwrap().remove(0).unwrap_err();
    assert_eq!(error.code(), Code::Unavail, "{error}");
    for (failure, reason) in [
        ("long", "canon_user plugin canon gave what is no user name"),
        ("empty", "canon_user plugin canon gave what is no user name"),
        ("nul", "canon_user plugin canon gave what is no user name"),
        ("client only", "canon_user plugin canon has nothing for servers"),
    ] {
        let error = with(&folder, failure, &[("Fred", BOTH)]).unwrap().remove(0).unwrap_err();
        assert_eq!(error.to_string(), reason, "{failure}");
    }
    for (failure, reason) in [
        ("version", "version 4 of the canon_user interface was found, and this host supports 5"),
        ("null", "its canon_user function gave no plugin"),
        ("log", "its canon_user function failed with SASL_FAIL: the file is away"),
        ("fail", "its canon_user function failed with SASL_FAIL: no memory of No such file or directory"),
    ] {
        let error = with(&folder, failure, &[]).unwrap_err();
        assert_eq!((error.code(), error.to_string()), (Code::ConfigErr, format!("canon_user plugin canon: {reason}")));
    }
}

#[test]
fn the_internal_way() {
    let options = Arc::default();
    let canon = Canon::load(&[], "internal", &options, None).unwrap();
    let name = |name: &str, realm: Option<&str>| {
        let config = Config::default();
        canon.name(&mut Inquiry::new(&options, None, &config, realm).unwrap(), name, BOTH).unwrap().unwrap()
    };
    assert_eq!(name("  fred \n", None), "fred");
    assert_eq!(name("fred", Some("example.org")), "fred@example.org");
    assert_eq!(name("fred@example.net", Some("example.org")), "fred@example.net");
}
