//! Drive a session over a protocol of your own.
//!
//! A [`Session`](crate::session::Session) does no I/O: bytes go in, an [`Outcome`](crate::session::Outcome) comes out. So the
//! same loop serves a blocking socket and an asynchronous one. Only the two places that read and write differ: a program
//! that uses tokio has `.await` there. A message may be empty, which differs from no message: a protocol must distinguish
//! the two, as SMTP does with `=`.
//!
//! ```
//! use std::io::{self, Read, Write};
//!
//! use authen_sasl_rust::contract::{Abilities, Answer, Property, Question, Side, Values};
//! use authen_sasl_rust::secret::Secret;
//! use authen_sasl_rust::session::{Outcome, Session};
//! use authen_sasl_rust::{mechanism, world::LocalWorld};
//!
//! /// One message: its length in four bytes, then its bytes. The length 0xFFFFFFFF means no message.
//! fn send(stream: &mut impl Write, message: Option<&[u8]>) -> io::Result<()> {
//!     stream.write_all(&message.map_or(u32::MAX, |bytes| bytes.len() as u32).to_be_bytes())?;
//!     stream.write_all(message.unwrap_or_default())
//! }
//!
//! fn receive(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
//!     let mut length = [0; 4];
//!     stream.read_exact(&mut length)?;
//!     match u32::from_be_bytes(length) {
//!         u32::MAX => Ok(None),
//!         length if length > 1 << 20 => Err(io::ErrorKind::InvalidData.into()),
//!         length => {
//!             let mut message = vec![0; length as usize];
//!             stream.read_exact(&mut message)?;
//!             Ok(Some(message))
//!         }
//!     }
//! }
//!
//! /// Runs an exchange to its end; `ask` answers for the application.
//! fn run(
//!     session: &mut Session,
//!     stream: &mut (impl Read + Write),
//!     ask: impl Fn(&Question) -> Answer,
//! ) -> io::Result<()> {
//!     let mut world = LocalWorld::default();
//!     let mut outcome = match session.side() {
//!         Side::Client => session.start(None, &mut world.lend()),
//!         Side::Server => {
//!             let initial = receive(stream)?;
//!             session.start(initial.as_deref(), &mut world.lend())
//!         }
//!     };
//!     loop {
//!         outcome = match outcome {
//!             Outcome::Ask => {
//!                 let answer = session.question().map(&ask).expect("a question waits");
//!                 session.answer(answer, &mut world.lend())
//!             }
//!             Outcome::Failed | Outcome::FailedWithMessage => {
//!                 if outcome == Outcome::FailedWithMessage {
//!                     send(stream, Some(session.message()))?;
//!                 }
//!                 let failure = session.failure().expect("a failure").to_string();
//!                 return Err(io::Error::new(io::ErrorKind::PermissionDenied, failure));
//!             }
//!             Outcome::Send | Outcome::Absent => {
//!                 let message = (outcome == Outcome::Send).then(|| session.message());
//!                 if message.is_some() || session.need_step() {
//!                     send(stream, message)?;
//!                 }
//!                 if !session.need_step() {
//!                     return Ok(());
//!                 }
//!                 let received = receive(stream)?.unwrap_or_default();
//!                 session.step(&received, &mut world.lend())
//!             }
//!             Outcome::Over | Outcome::Busy => return Ok(()),
//!         };
//!     }
//! }
//!
//! # #[cfg(unix)] {
//! let (mut here, mut there) = std::os::unix::net::UnixStream::pair()?;
//! let server = std::thread::spawn(move || {
//!     let mut server = Session::new(Side::Server, mechanism::registry());
//!     server.config.abilities = Abilities::CREDENTIALS;
//!     server.pick("SCRAM-SHA-256").expect("a mechanism");
//!     run(&mut server, &mut there, |_| Answer::Credential(Some(Secret::new(b"pencil"))))?;
//!     Ok::<_, io::Error>(server.identity().authcid.clone())
//! });
//!
//! let mut client = Session::new(Side::Client, mechanism::registry());
//! client.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD);
//! client.pick("SCRAM-SHA-256").expect("a mechanism");
//! run(&mut client, &mut here, |_| {
//!     let mut values = Values::default();
//!     values.push(Property::Authcid, Secret::new(b"fred"));
//!     values.push(Property::Password, Secret::new(b"pencil"));
//!     Answer::Values(values)
//! })?;
//! assert!(client.is_success());
//! assert_eq!(server.join().expect("no panic")?.as_deref(), Some("fred"));
//! # }
//! # Ok::<(), io::Error>(())
//! ```
