//! The flags of a look-up, with Debian's sasldb.

use std::process::{Command, Stdio};
use std::sync::Arc;

use super::super::auxprop::Auxprops;
use super::super::folders;
use super::super::inquiry::Inquiry;
use super::super::options::Options;
use super::Folder;
use authen_sasl_rust::config::Config;
use saslplug::flag;

/// A sasldb with the user fred, whose password is pencil, and the options for it.
pub fn sasldb(folder: &Folder) -> Options {
    let path = folder.path("sasldb");
    let path = path.to_str().unwrap();
    let mut command = Command::new("/usr/sbin/saslpasswd2");
    command.args(["-p", "-c", "-f", path, "-u", "example.org", "fred"]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"pencil").unwrap();
    assert!(child.wait().unwrap().success());
    let mut options = Options::default();
    options.set("auxprop_plugin", "sasldb").unwrap();
    options.set("sasldb_path", path).unwrap();
    options
}

#[test]
fn flags_of_a_look_up() {
    let folder = Folder::new("lookup");
    let options = Arc::new(sasldb(&folder));
    let (auxprops, refused) = Auxprops::load(&folders(None), Some(&["sasldb"]), &options, None);
    assert!(refused.is_empty() && auxprops.names().eq(["sasldb"]));
    // The requested property, the value that it already has, the flags, and the value after the look-up.
    for (name, before, flags, after) in [
        (c"*userPassword", None, 0, Some("pencil")),
        (c"*userPassword", None, flag::AUXPROP_AUTHZID, None),
        (c"userPassword", None, 0, None),
        (c"userPassword", None, flag::AUXPROP_AUTHZID, Some("pencil")),
        (c"*userPassword", Some("chalk"), 0, Some("chalk")),
        (c"*userPassword", Some("chalk"), flag::AUXPROP_OVERRIDE, Some("pencil")),
    ] {
        let mut inquiry = Inquiry::new(&options, None, &Config::default(), Some("example.org")).unwrap();
        inquiry.properties.request(name.to_owned());
        if let Some(value) = before {
            inquiry.properties.set(name, value.as_bytes());
        }
        auxprops.look_up(&mut inquiry, flags, "fred").unwrap();
        let values: Vec<&[u8]> = inquiry.properties.values(name).into_iter().flatten().collect();
        assert_eq!(values, after.iter().map(|text| text.as_bytes()).collect::<Vec<_>>(), "{name:?} {before:?} {flags}");
    }
    let mut inquiry = Inquiry::new(&options, None, &Config::default(), Some("example.org")).unwrap();
    inquiry.properties.request(c"*userPassword".to_owned());
    assert!(!auxprops.look_up(&mut inquiry, 0, "nobody").unwrap());
    assert!(auxprops.look_up(&mut inquiry, 0, "fred\0").is_err());
}
