//! Logs in to an IMAP server: `imap_login ADDRESS USER PASSWORD`.
use authen_sasl_rust::login::Client;
use std::io::{BufRead, BufReader, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let mut server = BufReader::new(std::net::TcpStream::connect(&args[1])?);
    let mut line = String::new();
    server.read_line(&mut line)?; // the greeting
    let mut client = Client::with_password(&args[2], &args[3]);
    let mechanism = client.choose("SCRAM-SHA-256 SCRAM-SHA-1")?;
    write!(server.get_mut(), "a AUTHENTICATE {mechanism}\r\n")?;
    loop {
        line.clear();
        server.read_line(&mut line)?;
        let Some(challenge) = line.strip_prefix('+') else { break };
        write!(server.get_mut(), "{}\r\n", client.respond_base64(challenge.trim())?)?;
    }
    if !line.starts_with("a OK") {
        return Err(line.into());
    }
    client.finish(None)?;
    println!("{mechanism}: {}", line.trim());
    Ok(())
}
