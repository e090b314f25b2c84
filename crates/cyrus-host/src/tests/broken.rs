//! Plugins with defects: each defect is reported in words, and the other plugins still work.

use std::os::unix::fs::PermissionsExt;

use super::{compile, failure, load, start_as_fred, Folder};
use crate::{LoadOptions, Plugins};
use authen_sasl_rust::contract::{Answer, Question, Side};
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::LocalWorld;

fn build(folder: &Folder, file: &str, macros: &[&str]) {
    let options: Vec<String> = macros.iter().map(|name| format!("-D{name}")).collect();
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.extend(["-shared", "-fPIC"]);
    compile("broken.c", &folder.path(file), &options);
}

/// The reasons for which the plugin of that name was refused.
fn complaint(plugins: &Plugins, name: &str) -> String {
    let refused: Vec<&str> = plugins.refused().iter().filter(|r| &*r.name == name).map(|r| r.reason.as_str()).collect();
    refused.join(" | ")
}

#[test]
fn a_folder_of_broken_plugins() {
    let folder = Folder::new("broken");
    build(&folder, "libgood.so", &[]);
    let said = [
        ("version", "VERSION=99", "version 99 of the client interface was found, and this host supports 4"),
        ("badvers", "BADVERS", "version 5 of the client interface was found, and this host supports 4"),
        ("fails", "FAILS", "its function for the client failed with SASL_CONFIGERR: no luck"),
        ("table", "NO_TABLE", "its function for the client gave no mechanisms"),
        ("none", "COUNT=0", "its function for the client gave no mechanisms"),
        ("negative", "COUNT=-3", "its function for the client gave no mechanisms"),
        ("many", "COUNT=100000", "its function for the client gave 100000 mechanisms"),
        ("nameless", "NO_NAME", "it has a mechanism without a proper name"),
        ("misnamed", "BAD_NAME", "it has a mechanism without a proper name"),
        ("stepless", "NO_STEP", "its STEPLESS lacks mech_new or mech_step"),
        ("entryless", "NO_ENTRY", "it has none of the entry points of a Cyrus plugin"),
        ("imports", "IMPORTS", "it calls libsasl2 itself (sasl_setpass), which this host replaces"),
    ];
    for (name, defect, _) in said {
        build(&folder, &format!("lib{name}.so"), &[defect]);
    }
    let good = std::fs::read(folder.path("libgood.so")).unwrap();
    let write = |file: &str, content: &[u8]| std::fs::write(folder.path(file), content).unwrap();
    write("libtext.so", b"hello, world\n");
    write("libempty.so", b"");
    write("libcut.so", &good[..good.len() / 3]);
    write("libopen.so", &good);
    std::fs::set_permissions(folder.path("libopen.so"), PermissionsExt::from_mode(0o666)).unwrap();
    std::fs::create_dir(folder.path("libfolder.so")).unwrap();
    // Opening these for reading blocks until there is a writer.
    for pipe in ["libpipe.so", "libpipes.la"] {
        let made = std::process::Command::new("mkfifo").arg(folder.path(pipe)).status().unwrap();
        assert!(made.success());
    }
    write("libmine.la", b"dlname='libgood.so'\n");
    std::fs::set_permissions(folder.path("libmine.la"), PermissionsExt::from_mode(0o666)).unwrap();
    write("libnowhere.la", b"dlname='libnot-there.so'\n");
    write("libstatic.la", b"dlname=''\n");
    write("libescape.la", b"dlname='../libgood.so'\n");
    write("libodd.la", b"not libtool's\n");

    let plugins = load(&folder, None);
    for (name, _, reason) in said {
        assert_eq!(complaint(&plugins, name), reason, "{name}");
    }
    for (name, reason) in [
        ("text", "it is not an ELF file"),
        ("empty", "it is not an ELF file"),
        ("cut", "it is damaged or cut off"),
        ("open", "anybody may write to it"),
        ("folder", "it is not a regular file"),
        ("pipe", "it is not a regular file"),
        ("pipes", "it is not a regular file"),
        ("mine", "anybody may write to it"),
        ("nowhere", "No such file"),
        ("static", "its dlname is empty"),
        ("escape", "its dlname leads to another folder"),
        ("odd", "it is not a libtool file"),
    ] {
        let said = complaint(&plugins, name);
        assert!(said.contains(reason), "{name}: {said}");
    }
    assert_eq!(complaint(&plugins, "good"), "");
    assert!(plugins.find("BOASTFUL", Side::Client).is_some());
    assert!(plugins.find("INSISTENT", Side::Server).is_some());
    assert!(plugins.find("INSISTENT", Side::Client).is_none());
    assert!(plugins.find("STEPLESS", Side::Client).is_none());
}

#[test]
fn a_description_of_libtool_stands_for_its_file() {
    let folder = Folder::new("libtool");
    build(&folder, "libone.so.2.0.25", &[]);
    std::fs::write(folder.path("libone.so"), b"this is not looked at").unwrap();
    std::fs::write(folder.path("libone.la"), b"# libtool\ndlname='libone.so.2.0.25'\nlibdir='/usr/lib/sasl2'\n")
        .unwrap();
    let plugins = load(&folder, None);
    assert_eq!(complaint(&plugins, "one"), "");
    assert!(plugins.find("nameless", Side::Client).is_some());
}

#[test]
fn what_is_named_and_not_there_is_told() {
    let folder = Folder::new("named");
    build(&folder, "libone.so", &[]);
    let plugins = load(&folder, Some(&["two"]));
    assert_eq!(complaint(&plugins, "two"), "there is no such file in the folders of plugins");
    assert!(plugins.find("NAMELESS", Side::Client).is_none(), "it was not asked for");
    let path = Some("/no/such/folder".to_owned());
    let plugins =
        Plugins::load(&LoadOptions { path, ..LoadOptions::default() }, &authen_sasl_rust::mechanism::registry())
            .unwrap();
    assert!(complaint(&plugins, "").starts_with("the folder cannot be read"));
    let options = vec![("otp_mda".to_owned(), "a\0b".to_owned())];
    assert!(Plugins::load(
        &LoadOptions { options, ..LoadOptions::default() },
        &authen_sasl_rust::mechanism::registry()
    )
    .is_err());
}

fn session(folder: &Folder, side: Side, mechanism: &str) -> Session {
    let mut session = super::session(&load(folder, None), side);
    session.negotiate(mechanism).unwrap();
    session
}

#[test]
fn clients_that_misbehave() {
    let folder = Folder::new("clients");
    build(&folder, "libgood.so", &[]);
    for (mechanism, reason) in [
        ("ENDLESS", "ENDLESS client: the plugin prompts without end (SASL_FAIL)"),
        ("NAMELESS", "NAMELESS client: the plugin has ended without both identities (canon_user) (SASL_BADPROT)"),
        ("BOASTFUL", "BOASTFUL client: the plugin has negotiated a stronger layer than maxssf allows (SASL_TOOWEAK)"),
        ("COMPLAINING", "COMPLAINING client: the \\u{1b}[31mmoon\\u{1b}[0m is full (SASL_UNAVAIL) (SASL_UNAVAIL)"),
    ] {
        let mut client = session(&folder, Side::Client, mechanism);
        start_as_fred(&mut client);
        assert_eq!(failure(&client), reason);
    }
    let mut client = session(&folder, Side::Client, "BOASTFUL");
    client.config.set("maxssf", Some("256")).unwrap();
    client.start(None, &mut LocalWorld::default().lend());
    assert!(
        failure(&client).contains("has negotiated a security layer, but has no functions for it"),
        "{}",
        failure(&client)
    );
}

#[test]
fn an_exchange_that_is_dropped_ends_its_step() {
    let folder = Folder::new("servers");
    build(&folder, "libgood.so", &[]);
    let mut world = LocalWorld::default();
    let mut server = session(&folder, Side::Server, "INSISTENT");
    for verdict in [false, false, true] {
        let outcome = match server.question() {
            None => server.start(None, &mut world.lend()),
            Some(_) => server.answer(Answer::Verdict(false), &mut world.lend()),
        };
        assert_eq!(outcome, Outcome::Ask, "{verdict}");
        assert!(matches!(server.question(), Some(Question::CheckPassword { authcid, .. }) if authcid == "fred"));
    }
    // Started again, and then dropped, both in the middle of a step.
    assert_eq!(server.start(None, &mut world.lend()), Outcome::Ask);
    drop(server);

    let mut server = session(&folder, Side::Server, "INSISTENT");
    server.start(None, &mut world.lend());
    server.answer(Answer::Verdict(true), &mut world.lend());
    assert!(server.is_success(), "{}", failure(&server));
    assert_eq!(server.identity().authcid.as_deref(), Some("fred"));

    let mut server = session(&folder, Side::Server, "INSISTENT");
    let reason = server.negotiate("CLOSED").unwrap_err().to_string();
    assert!(reason.contains("CLOSED: the plugin does not offer it here: the plugin gave no reason"), "{reason}");
    server.pick("CLOSED").unwrap();
    server.start(None, &mut world.lend());
    assert!(failure(&server).contains("the plugin does not offer it here"), "{}", failure(&server));
}
