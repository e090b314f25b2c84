//! Logs in to an IMAP server with tokio: `imap_login ADDRESS USER PASSWORD`. It needs the features io-util, macros, net and rt.
use authen_sasl_rust::login::Client;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let mut server = BufReader::new(tokio::net::TcpStream::connect(&args[1]).await?);
    let mut line = String::new();
    server.read_line(&mut line).await?; // the greeting
    let mut client = Client::with_password(&args[2], &args[3]);
    let mechanism = client.choose("SCRAM-SHA-256 SCRAM-SHA-1")?;
    server.write_all(format!("a AUTHENTICATE {mechanism}\r\n").as_bytes()).await?;
    loop {
        line.clear();
        server.read_line(&mut line).await?;
        let Some(challenge) = line.strip_prefix('+') else { break };
        let response = client.respond_base64(challenge.trim())?;
        server.write_all(format!("{response}\r\n").as_bytes()).await?;
    }
    if !line.starts_with("a OK") {
        return Err(line.into());
    }
    client.finish(None)?;
    println!("{mechanism}: {}", line.trim());
    Ok(())
}
