//! HTTP for operators: the metrics, and whether new clients are accepted.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::error;

use crate::gate::Gate;
use crate::listen::PAUSE;
use crate::recent::RecentTasks;

/// Serves the metrics over HTTP, as far as a scraper needs it, until the gateway ends. `stopped`: it accepts no new clients.
pub fn serve(gate: Arc<Gate>, listener: TcpListener, stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    let mut scrapers = RecentTasks::default();
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (gate, stopped) = (gate.clone(), stopped.clone());
                    scrapers.spawn(async move {
                        // A scraper that is too slow or has disconnected tries again.
                        let _ = tokio::time::timeout(Duration::from_secs(5), answer(stream, &gate, &stopped)).await;
                    });
                }
                Err(error) => {
                    error!(%error, "cannot accept a scraper");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    })
}

async fn answer(mut stream: TcpStream, gate: &Gate, stopped: &watch::Receiver<bool>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < 8192 {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            size => request.extend_from_slice(&buffer[..size]),
        }
    }
    let path = request.strip_prefix(b"GET ").and_then(|rest| rest.split(|byte| *byte == b' ').next());
    let (status, body) = match path {
        Some(b"/metrics") => ("200 OK", gate.metrics_text()),
        Some(b"/healthz") if *stopped.borrow() => ("503 Service Unavailable", "draining\n".into()),
        Some(b"/healthz") => ("200 OK", "ok\n".into()),
        _ => ("404 Not Found", "GET /metrics or /healthz\n".into()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all([head, body].concat().as_bytes()).await?;
    stream.shutdown().await
}
