//! Accounts in a directory: Debian's ldapdb plugin against a slapd of the test's own.
#![cfg(hosts_plugins)]

mod cyrus;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use authen_sasl_rust::contract::{Abilities, Answer};
use authen_sasl_rust::error::Code;
use authen_sasl_rust::session::Outcome;
use authen_sasl_rust::world::LocalWorld;
use cyrus::{accounts, login, run, server, Folder, MECHANISMS};

/// A slapd on a socket, which ends with its owner. Whoever connects as this user of the system acts for everybody.
struct Slapd {
    child: Child,
    uri: String,
}

impl Slapd {
    fn start(folder: &Folder) -> Self {
        let [conf, data, socket] = ["slapd.conf", "data", "socket"].map(|name| folder.path(name));
        std::fs::create_dir(&data).expect("a folder");
        std::fs::write(
            &conf,
            format!(
                "include /etc/ldap/schema/core.schema\n\
                 include /etc/ldap/schema/cosine.schema\n\
                 include /etc/ldap/schema/inetorgperson.schema\n\
                 modulepath /usr/lib/ldap\n\
                 moduleload back_mdb\n\
                 pidfile {data}/pid\n\
                 authz-regexp \"gidNumber=.*,cn=peercred,cn=external,cn=auth\" \"cn=admin,dc=example,dc=org\"\n\
                 authz-regexp \"uid=([^,/]*),cn=.*\" \"uid=$1,dc=example,dc=org\"\n\
                 access to * by * read\n\
                 database mdb\n\
                 suffix dc=example,dc=org\n\
                 rootdn cn=admin,dc=example,dc=org\n\
                 directory {data}\n"
            ),
        )
        .expect("written");
        let person = |uid: &str, password: &str| {
            format!(
                "dn: uid={uid},dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n\
                 userPassword: {password}\nmail: {uid}@example.org\nmail: {uid}@example.net\n\n"
            )
        };
        let root = "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: x\n\n";
        let people = person("fred", "pencil") + &person("root", "x") + &person("old", "{SSHA}AAAA");
        run("/usr/sbin/slapadd", &["-f", &conf], &format!("{root}{people}"));

        let uri = format!("ldapi://{}", socket.replace('/', "%2F"));
        let mut command = Command::new("/usr/sbin/slapd");
        command
            .args(["-f", &conf, "-h", &uri, "-d", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("slapd");
        let end = Instant::now() + Duration::from_secs(20);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < end, "slapd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Slapd { child, uri }
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn users_of_a_directory() {
    let folder = Folder::new();
    let slapd = Slapd::start(&folder);
    let options = [
        ("auxprop_plugin", "ldapdb"),
        ("ldapdb_uri", slapd.uri.as_str()),
        ("ldapdb_mech", "EXTERNAL"),
        ("ldapdb_canon_attr", "uid"),
    ];
    let directory = accounts(&options).expect("accounts");
    for mechanism in MECHANISMS {
        for (user, password, right) in [
            ("fred", "pencil", true),
            ("fred", "pencils", false),
            ("old", "{SSHA}AAAA", false),
            ("fred*", "pencil", false),
        ] {
            let mut server = server(&directory);
            let entered = login(mechanism, &mut server, user, password, None);
            assert_eq!(entered, right, "{mechanism} {user}: {:?}", server.failure());
        }
    }

    let mut other = server(&directory);
    other.config.abilities = Abilities::AUTHORIZE;
    other.config.set("auxprop", Some("mail *cn")).unwrap();
    other.negotiate("PLAIN").unwrap();
    let mut world = LocalWorld::default();
    assert_eq!(other.start(Some(b"root\0fred\0pencil"), &mut world.lend()), Outcome::Ask, "{:?}", other.failure());
    other.answer(Answer::Verdict(true), &mut world.lend());
    let properties = other.properties().expect("properties");
    let texts = |name| properties.get(name).iter().filter_map(|value| value.expose_str()).collect::<Vec<_>>();
    assert_eq!(texts("mail"), ["root@example.org", "root@example.net"]);
    assert_eq!(texts("*cn"), ["fred"]);

    // ldapdb keeps its settings in statics: another configuration must not find the first one's.
    let socket = format!("ldapi://{}", folder.path("nowhere").replace('/', "%2F"));
    let elsewhere = accounts(&[options[0], ("ldapdb_uri", &socket), options[2]]).expect("accounts");
    let mut nowhere = server(&elsewhere);
    assert!(!login("PLAIN", &mut nowhere, "fred", "pencil", None));
    assert_eq!(nowhere.failure().expect("a failure").error.code(), Code::Unavail, "{:?}", nowhere.failure());
    assert!(login("PLAIN", &mut server(&directory), "fred", "pencil", None));

    // Names become canonical in the directory, too.
    let canonical = accounts([&options[..], &[("canon_user_plugin", "ldapdb")]].concat().as_slice()).expect("accounts");
    let mut named = server(&canonical);
    assert!(login("PLAIN", &mut named, " FRED ", "pencil", None), "{:?}", named.failure());
    assert_eq!(named.identity().authcid.as_deref(), Some("fred"));

    // An unknown user gets the same dialogue as a wrong password, although the plugin says no more of one than that it has failed.
    for mechanism in MECHANISMS {
        for user in ["fred", "nobody"] {
            let mut refused = server(&canonical);
            assert!(!login(mechanism, &mut refused, user, "pencils", None));
            let failure = refused.failure().expect("a failure");
            assert_eq!(failure.error.code(), Code::BadAuth, "{mechanism} {user}: {failure}");
        }
    }
    for user in ["fred", "nobody"] {
        let mut first = server(&canonical);
        first.negotiate("SCRAM-SHA-256").unwrap();
        let outcome =
            first.start(Some(format!("n,,n={user},r=abcdefgh").as_bytes()), &mut LocalWorld::default().lend());
        assert_eq!(outcome, Outcome::Send, "{user}: {:?}", first.failure());
    }

    // A directory that is away is no wrong password.
    drop(slapd);
    let mut away = server(&directory);
    assert!(!login("SCRAM-SHA-256", &mut away, "fred", "pencil", None));
    let failure = away.failure().expect("a failure");
    assert_eq!(failure.error.code(), Code::Unavail, "{failure}");
    let mut away = server(&canonical);
    assert!(!login("SCRAM-SHA-256", &mut away, "fred", "pencil", None));
    let failure = away.failure().expect("a failure");
    assert!(failure.to_string().contains("ldapdb"), "{failure}");
}
