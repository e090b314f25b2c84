//! An IMAP server without mail, one connection at a time: `imap_server ADDRESS`. Its user is fred, whose password is pencil.
use authen_sasl_rust::login::{Reply, Server};
use authen_sasl_rust::store::verifier::{make_text, VerifierFormat};
use std::io::{self, BufRead, BufReader, Write};

fn serve(mut output: std::net::TcpStream, verifier: String) -> io::Result<()> {
    let mut input = BufReader::new(output.try_clone()?).lines();
    let mut server = Server::new(move |user| (user == "fred").then(|| verifier.clone().into()));
    let offered = server.offer("SCRAM-SHA-256 PLAIN").replace(' ', " AUTH=");
    write!(output, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH={offered}] ready\r\n")?;
    while let Some(line) = input.next().transpose()? {
        let words: Vec<&str> = line.split(' ').collect();
        let [tag, "AUTHENTICATE", mechanism, initial @ ..] = &words[..] else {
            write!(output, "{} BAD authenticate first\r\n", words[0])?;
            continue;
        };
        let mut reply = server.start_base64(mechanism, initial.first().copied());
        while let Reply::Challenge(challenge) = reply {
            write!(output, "+ {challenge}\r\n")?;
            reply = server.step_base64(&input.next().unwrap_or_else(|| Ok("*".into()))?);
        }
        if let Reply::Failure(_, failure) = &reply {
            eprintln!("{failure}");
        }
        match server.user() {
            Some(user) => return write!(output, "{tag} OK welcome, {user}\r\n"),
            None => write!(output, "{tag} NO [AUTHENTICATIONFAILED] the login has failed\r\n")?,
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = std::net::TcpListener::bind(std::env::args().nth(1).ok_or("which address?")?)?;
    println!("{}", listener.local_addr()?);
    let verifier = make_text("SCRAM-SHA-256", "pencil", None, 4096, VerifierFormat::Rfc5803)?;
    loop {
        serve(listener.accept()?.0, verifier.clone()).unwrap_or_else(|error| eprintln!("{error}"));
    }
}
