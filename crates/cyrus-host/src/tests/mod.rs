//! Compares our functions with libsasl2's: a C program calls both and writes their results to a file.

mod binding;
mod broken;
mod canon;
mod fork;
mod formats;
mod hostile;
mod lookup;

use std::ffi::{c_char, CString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use libloading::{Library, Symbol};

use super::connection::NoHooks;
use super::owned::Owned;
use super::{LoadOptions, Plugins};
use authen_sasl_rust::contract::{Abilities, Answer, Property, Side, Values};
use authen_sasl_rust::mechanism;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::LocalWorld;
use saslplug::{property, Utils};

/// A folder that is removed when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("asr-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Compiles a C source of this folder; libsasl2-dev has the headers.
pub fn compile(source: &str, to: &Path, options: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests").join(source);
    let built = Command::new("cc").arg("-g").arg("-o").arg(to).arg(source).args(options).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// The plugins of a folder: those named, or all.
fn load(folder: &Folder, names: Option<&[&str]>) -> Plugins {
    let path = folder.path("").to_str().map(str::to_owned);
    let load = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    Plugins::load(&LoadOptions { path, load, ..LoadOptions::default() }, &mechanism::registry()).unwrap()
}

/// A session that may use the plugins, and has not chosen a mechanism yet.
fn session(plugins: &Plugins, side: Side) -> Session {
    let mut session = Session::new(side, Arc::new(plugins.registry(&mechanism::registry())));
    session.config.abilities = match side {
        Side::Client => Abilities::AUTHCID.union(Abilities::PASSWORD),
        Side::Server => Abilities::CHECK_PASSWORD,
    };
    session
}

/// Starts a client, and answers each of its questions with the name fred and nothing else.
fn start_as_fred(client: &mut Session) {
    let mut world = LocalWorld::default();
    let mut outcome = client.start(None, &mut world.lend());
    while outcome == Outcome::Ask {
        let mut values = Values::default();
        values.push(Property::Authcid, Secret::new(b"fred"));
        outcome = client.answer(Answer::Values(values), &mut world.lend());
    }
}

fn failure(session: &Session) -> String {
    session.failure().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn every_slot_as_in_libsasl2() {
    let folder = Folder::new("battery");
    let [program, library] = ["host", "battery.so"].map(|name| folder.path(name));
    let [theirs, ours] = ["theirs", "ours"].map(|name| folder.path(name));
    compile("battery.c", &program, &["-DHOST", "-lsasl2"]);
    compile("battery.c", &library, &["-shared", "-fPIC"]);
    assert!(Command::new(&program).arg(&theirs).status().unwrap().success());

    let connection = Owned::new(Arc::default(), None, Box::new(NoHooks));
    let texts = [
        (property::SERVICE, c"imap"),
        (property::SERVERFQDN, c"mail.example.org"),
        (property::DEFUSERREALM, c"example.org"),
        (property::APPNAME, c"battery"),
    ];
    for (number, text) in texts {
        connection.set_text(number, Some(text));
    }
    let path = CString::new(ours.to_str().unwrap()).unwrap();
    // SAFETY: the library has just been built, and the function has that type in it.
    unsafe {
        let library = Library::new(&library).unwrap();
        let battery: Symbol<unsafe extern "C" fn(*const Utils, *const c_char)> = library.get(b"battery\0").unwrap();
        connection.during(|| battery(connection.utils(), path.as_ptr()));
    }

    let [theirs, ours] = [theirs, ours].map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
    assert!(theirs.lines().count() > 60_000, "libsasl2 was asked for all");
    for (number, (theirs, ours)) in theirs.lines().zip(ours.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {number}");
    }
    assert_eq!(ours.lines().count(), theirs.lines().count());
}
