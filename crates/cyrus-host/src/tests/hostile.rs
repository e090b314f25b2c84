//! A plugin that lies about its results, keeps dangling pointers, and calls the host from where it must not: hostile.c.

use std::sync::Arc;

use super::{compile, failure, load, start_as_fred, Folder};
use crate::Plugins;
use authen_sasl_rust::contract::{Answer, Side};
use authen_sasl_rust::error::{Error, Misuse};
use authen_sasl_rust::layer::{self, SharedLayer};
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::LocalWorld;

pub fn plugins(folder: &Folder) -> Arc<Plugins> {
    compile(
        "hostile.c",
        &folder.path("libhostile.so"),
        &["-shared", "-fPIC", "-pthread", "-O2", "-D_FORTIFY_SOURCE=2"],
    );
    let plugins = load(folder, None);
    assert!(plugins.refused().is_empty(), "{:?}", plugins.refused());
    Arc::new(plugins)
}

fn session(plugins: &Arc<Plugins>, side: Side, mechanism: &str) -> Session {
    let mut session = super::session(plugins, side);
    session.config.set("maxssf", Some("256")).unwrap();
    session.negotiate(mechanism).unwrap();
    session
}

/// A server's exchange of one message. Every password is accepted.
pub fn served(plugins: &Arc<Plugins>, mechanism: &str) -> Session {
    served_by(session(plugins, Side::Server, mechanism))
}

/// The same without another thread: the child of a process with threads may not start one (fork(2)).
pub fn served_by_one_thread(plugins: &Arc<Plugins>, mechanism: &str) -> Session {
    let mut server = session(plugins, Side::Server, mechanism);
    let mut world = LocalWorld::default();
    let mut outcome = server.start(None, &mut world.lend());
    while outcome == Outcome::Ask {
        outcome = server.answer(Answer::Verdict(true), &mut world.lend());
    }
    server
}

fn served_by(mut server: Session) -> Session {
    let mut world = LocalWorld::default();
    let mut outcome = server.start(None, &mut world.lend());
    while outcome == Outcome::Ask {
        // Each answer by another thread: a suspended step belongs to no thread.
        outcome = std::thread::scope(|scope| {
            let server = &mut server;
            scope
                .spawn(move || {
                    let mut world = LocalWorld::default();
                    server.answer(Answer::Verdict(true), &mut world.lend())
                })
                .join()
                .unwrap()
        });
    }
    server
}

#[test]
fn messages_and_names_that_are_not_there() {
    let folder = Folder::new("hostile");
    let plugins = plugins(&folder);
    for (mechanism, reason) in [
        ("HUGE", "HUGE server: the plugin gave a message of 4294967295 bytes (SASL_FAIL)"),
        ("WRECK", "WRECK server: the plugin gave no reason (SASL_BADPROT)"),
        ("LONG-NAME", "LONG-NAME server: the plugin has ended without both identities (canon_user) (SASL_BADPROT)"),
        ("NO-NAME", "NO-NAME server: the plugin has ended without both identities (canon_user) (SASL_BADPROT)"),
    ] {
        assert_eq!(failure(&served(&plugins, mechanism)), reason);
    }
    let server = served(&plugins, "NOTHING");
    assert!(server.need_step() && server.message().is_empty() && !server.message_absent(), "{}", failure(&server));

    for (mechanism, reason) in [
        ("PROMPTS", "PROMPTS client: the plugin prompts without saying for what (SASL_FAIL)"),
        ("HUGE", "HUGE client: the plugin gave a message of 4294967295 bytes (SASL_FAIL)"),
        ("WRECK", "WRECK client: the plugin gave no reason (SASL_FAIL)"),
    ] {
        let mut client = session(&plugins, Side::Client, mechanism);
        start_as_fred(&mut client);
        assert_eq!(failure(&client), reason);
    }
}

#[test]
fn calls_from_elsewhere() {
    let folder = Folder::new("elsewhere");
    let plugins = plugins(&folder);
    let mut others = Vec::new();
    for mechanism in ["THREADS", "REMEMBERS", "REMEMBERS", "REMEMBERS", "JUMPS", "FORKS"] {
        let server = served(&plugins, mechanism);
        assert!(server.is_success(), "{mechanism}: {}", failure(&server));
        assert_eq!(server.identity().authcid.as_deref(), Some("fred"), "{mechanism}");
        // A connection that stays alive takes the memory of the dropped one.
        drop(server);
        others.push(served(&plugins, "NOTHING"));
    }
}

#[test]
fn layers_that_give_something_else() {
    let folder = Folder::new("layers");
    let plugins = plugins(&folder);
    let stream = |mechanism| {
        let server = served(&plugins, mechanism);
        let layer = server.layer().unwrap_or_else(|| panic!("{mechanism}: {}", failure(&server)));
        assert_eq!(layer::lock(layer).limits().ssf, 56);
        layer.clone()
    };
    let encoded = |layer: &SharedLayer, text: &str| {
        let mut stream = layer::lock(layer);
        let mut buffer = text.as_bytes().to_vec();
        buffer.resize(stream.room(text.len()), 0);
        let length = stream.encode(&mut buffer, text.len())?;
        buffer.truncate(length);
        Ok::<_, Error>(buffer)
    };
    for (mechanism, reason) in [
        ("LAYER-HUGE", Error::Misuse(Misuse::MessageTooLong).to_string()),
        ("LAYER-NULL", "the plugin's security layer gave something else than one frame".into()),
        ("LAYER-LIES", "the plugin's security layer gave something else than one frame".into()),
        ("LAYER-SHORT", "the plugin's security layer gave something else than one frame".into()),
    ] {
        let error = encoded(&stream(mechanism), "hello").unwrap_err();
        assert_eq!(error.to_string(), reason, "{mechanism}");
    }
    let mut frame = b"hello".to_vec();
    assert_eq!(layer::lock(&stream("LAYER-NULL")).decode(&mut frame).unwrap(), 0, "a length without a text");

    let layer = stream("LAYER-IN-PLACE");
    for text in ["hello", "", &"x".repeat(900)] {
        assert_eq!(encoded(&layer, text).unwrap(), text.as_bytes(), "a frame without the length before it");
    }
    let mut frame = b"hello".to_vec();
    let error = layer::lock(&layer).decode(&mut frame).unwrap_err();
    assert_eq!(error, Error::Misuse(Misuse::MessageTooLong), "more than was sent");

    let mut server = session(&plugins, Side::Server, "LAYER-IN-PLACE");
    server.config.set("maxbuf", Some("0")).unwrap();
    let server = served_by(server);
    assert!(!server.is_success() && server.layer().is_none());
    assert!(failure(&server).contains("which maxbuf forbids"), "{}", failure(&server));
}

#[test]
fn a_plugin_chooses_its_connections() {
    let folder = Folder::new("choosy");
    let plugins = plugins(&folder);
    let mut server = session(&plugins, Side::Server, "NOTHING");
    let reason = server.negotiate("CHOOSY").unwrap_err().to_string();
    assert_eq!(reason, "no mechanism is usable: CHOOSY: the plugin does not offer it here: there is no realm");
    assert_eq!(server.negotiate("CHOOSY HUGE").unwrap().name, "HUGE");
    let usable = |server: &Session| -> Vec<&str> {
        server.negotiation().usable("CHOOSY NOTHING").iter().map(|m| m.name).collect()
    };
    assert_eq!(usable(&server), ["NOTHING"]);
    server.config.set("realm", Some("example.org")).unwrap();
    assert_eq!(usable(&server), ["CHOOSY", "NOTHING"]);
    assert_eq!(server.negotiate("CHOOSY").unwrap().name, "CHOOSY");
}
