//! Connections, and the login on each.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use authen_sasl_rust::authline::client::{Client, Event, LoginError};
use authen_sasl_rust::contract::{Abilities, Answer, DerivedKeys, KeyId, Property, Values, World};
use authen_sasl_rust::error::Error;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::keys::KeyMemory;
use authen_sasl_rust::world::{LookupMemory, OsRandom};

/// Remembers the keys derived from the password for the life of the process, as the library does. The users of a load have one verifier,
/// so that deriving keys for each of them is not what is measured.
struct Keys(Arc<KeyMemory>);

impl Keys {
    fn of_all<'a>(id: &KeyId<'a>) -> KeyId<'a> {
        KeyId { hash: id.hash, authcid: "", password: id.password, salt: id.salt, iterations: id.iterations }
    }
}

impl DerivedKeys for Keys {
    fn find(&self, id: &KeyId<'_>) -> Option<Secret> {
        self.0.find(&Keys::of_all(id))
    }

    fn remember(&self, id: &KeyId<'_>, keys: Secret) {
        self.0.remember(&Keys::of_all(id), keys);
    }
}

/// Why a client is not in.
#[derive(Debug)]
pub enum Rejection {
    /// The gateway cannot ask for the user's account now.
    Unavailable,
    /// Unknown user, or wrong password.
    Refused,
    Broken(io::Error),
}

impl From<io::Error> for Rejection {
    fn from(error: io::Error) -> Self {
        Rejection::Broken(error)
    }
}

impl From<Rejection> for io::Error {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Unavailable => wrong("INTERNAL_ERROR"),
            Rejection::Refused => wrong("UNAUTHORIZED"),
            Rejection::Broken(error) => error,
        }
    }
}

/// A connection whose client is in.
pub struct Entry {
    pub stream: TcpStream,
    /// How long the gateway took to answer the first message. It looks up the user before that.
    pub challenge: Duration,
}

/// Makes connections, to each address in turn. Without a user it makes them without a login.
pub struct Connector {
    addresses: Vec<String>,
    user: Option<String>,
    /// If it is not 0, a number up to this is appended to the user's name.
    users: usize,
    /// Where the users begin, so that no two processes have the same ones.
    first: usize,
    password: String,
    mechanism: String,
    keys: Keys,
    lookups: LookupMemory,
}

impl Connector {
    pub fn new(addresses: &str, user: Option<String>, users: usize, password: String, mechanism: String) -> Self {
        Connector {
            addresses: addresses.split(',').map(str::to_owned).collect(),
            user,
            users,
            first: std::process::id() as usize,
            password,
            mechanism,
            keys: Keys(Arc::new(KeyMemory::default())),
            lookups: LookupMemory::new(),
        }
    }

    /// The same with another password.
    pub fn with_password(&self, password: &str) -> Self {
        let addresses = self.addresses.join(",");
        Connector::new(&addresses, self.user.clone(), self.users, password.to_owned(), self.mechanism.clone())
    }

    /// Users in an order without neighbours, so that each look-up reads another part of the accounts.
    fn user(&self, number: usize) -> Option<String> {
        let user = self.user.as_ref()?;
        match self.users {
            0 => Some(user.clone()),
            users => Some(format!("{user}{}", 1 + (self.first + number) * 2_654_435_761 % users)),
        }
    }

    pub fn connect(&self, number: usize) -> io::Result<TcpStream> {
        Ok(self.enter(number)?.stream)
    }

    pub fn enter(&self, number: usize) -> Result<Entry, Rejection> {
        let mut stream = TcpStream::connect(&self.addresses[number % self.addresses.len()])?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        let mut challenge = Duration::ZERO;
        if let Some(user) = self.user(number) {
            challenge = self.login(&mut stream, &user)?;
        }
        Ok(Entry { stream, challenge })
    }

    /// Returns how long the challenge took.
    fn login(&self, stream: &mut TcpStream, user: &str) -> Result<Duration, Rejection> {
        let mut random = OsRandom;
        let mut world =
            World { random: &mut random, keys: Some(&self.keys), salt_key: b"", lookups: &self.lookups, clock: None };
        let mut client = Client::new(&self.mechanism, authen_sasl_rust::mechanism::registry());
        client.session.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD);
        client.session.config.service = "beanstalkd".into();
        client.begin();
        let mut buffer = [0; 1024];
        let mut times = Vec::with_capacity(3);
        loop {
            let output = client.output();
            let begin = Instant::now();
            stream.write_all(output.expose())?;
            let size = stream.read(&mut buffer)?;
            times.push(begin.elapsed());
            if size == 0 {
                return Err(wrong("the connection was closed while logging in").into());
            }
            let mut input = &buffer[..size];
            loop {
                match client.receive(&mut input, &mut world) {
                    Event::Read => break,
                    Event::Ask => {
                        let mut values = Values::default();
                        values.push(Property::Authcid, Secret::new(user.as_bytes()));
                        values.push(Property::Password, Secret::new(self.password.as_bytes()));
                        client.answer(Answer::Values(values), &mut world);
                    }
                    // The reply to the list of mechanisms comes before the challenge.
                    Event::Done => return Ok(times.get(1).copied().unwrap_or_default()),
                    Event::Failed(LoginError::Unavailable("INTERNAL_ERROR")) => return Err(Rejection::Unavailable),
                    Event::Failed(LoginError::Sasl(failure)) if matches!(failure.error, Error::Refused(_)) => {
                        return Err(Rejection::Refused);
                    }
                    Event::Failed(error) => return Err(wrong(&error.to_string()).into()),
                }
            }
        }
    }
}

pub fn wrong(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}
