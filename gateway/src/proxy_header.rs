//! The PROXY protocol, versions 1 and 2: a proxy names the address of its client in a header before the client's bytes.
//! <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How a header of version 2 begins (§2.2). One of version 1 is longer than this too.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The maximum length of a header of version 1 (§2.1).
const V1_LIMIT: usize = 107;

/// The maximum length of what follows the first 16 bytes of a header of version 2: addresses, and fields that are not used here.
const V2_LIMIT: usize = 4096;

/// Version 2, command LOCAL: the proxy's own connection, for example a health check.
const LOCAL: u8 = 0x20;

/// Reads a header, and not a byte of what follows. Returns the client's address; `None` if the proxy knows none, or has connected
/// for itself.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<SocketAddr>, Error> {
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        let (command, family, length) = (stream.read_u8().await?, stream.read_u8().await?, stream.read_u16().await?);
        let rest = usize::from(length);
        if rest > V2_LIMIT {
            return Err(malformed("too long"));
        }
        header.extend([command, family]);
        header.extend(length.to_be_bytes());
        header.resize(header.len() + rest, 0);
        let begin = header.len() - rest;
        stream.read_exact(&mut header[begin..]).await?;
        if command == LOCAL {
            return Ok(None);
        }
    } else if header.starts_with(b"PROXY ") {
        while !header.ends_with(b"\r\n") {
            if header.len() == V1_LIMIT {
                return Err(malformed("too long"));
            }
            header.push(stream.read_u8().await?);
        }
    } else {
        return Err(malformed("no header"));
    }
    parse(&header)
}

fn parse(header: &[u8]) -> Result<Option<SocketAddr>, Error> {
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    match ProxyHeader::parse(header, config) {
        Ok((parsed, length)) if length == header.len() => match parsed.proxied_address() {
            None => Ok(None),
            Some(address) if address.protocol == Protocol::Stream => Ok(Some(address.source)),
            Some(_) => Err(malformed("a datagram protocol")),
        },
        _ => Err(malformed("malformed header")),
    }
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("PROXY protocol: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of version 2: command, family and protocol, and the rest with its length.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        [SIGNATURE.as_slice(), &[command, family], &(rest.len() as u16).to_be_bytes(), rest].concat()
    }

    const FOUR: &[u8] = &[192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80];

    async fn reads(header: &[u8]) -> (Result<Option<String>, String>, Vec<u8>) {
        let said = [header, b"auth-list-mechanisms\r\n"].concat();
        let mut stream = said.as_slice();
        let address = read(&mut stream).await;
        (address.map(|found| found.map(|it| it.to_string())).map_err(|error| error.to_string()), stream.to_vec())
    }

    #[tokio::test]
    async fn the_client_s_bytes_follow_the_header() {
        let six = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], [0; 16]].concat();
        let six = [six.as_slice(), &[0x12, 0x34, 0, 80]].concat();
        let fields = [FOUR, &[4, 0, 3, 1, 2, 3]].concat();
        for (header, address) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\n".to_vec(), Some("192.0.2.7:4660")),
            (b"PROXY TCP6 2001:db8::7 ::1 4660 80\r\n".to_vec(), Some("[2001:db8::7]:4660")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (v2(0x21, 0x11, FOUR), Some("192.0.2.7:4660")),
            (v2(0x21, 0x11, &fields), Some("192.0.2.7:4660")),
            (v2(0x21, 0x21, &six), Some("[2001:db8::7]:4660")),
            (v2(0x21, 0, b""), None),
            (v2(0x20, 0, b""), None),
            // What LOCAL says of addresses is to be ignored.
            (v2(0x20, 0x11, b"xx"), None),
            (v2(0x21, 0x31, &[b'x'; 216]), None),
            (v2(0x21, 0x11, &[FOUR, &[0; V2_LIMIT - 12]].concat()), Some("192.0.2.7:4660")),
        ] {
            let shown = String::from_utf8_lossy(&header).into_owned();
            let (found, rest) = reads(&header).await;
            assert_eq!(found, Ok(address.map(str::to_owned)), "{shown}");
            assert_eq!(rest, b"auth-list-mechanisms\r\n", "{shown}");
        }
    }

    #[tokio::test]
    async fn other_headers_are_errors() {
        let long = format!("PROXY TCP6 {} 1 2\r\n", "f".repeat(200));
        for (header, word) in [
            (b"".to_vec(), "no header"),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\n".to_vec(), "malformed header"),
            (b"PROXY TCP4 192.0.2.777 10.0.0.1 4660 80\r\n".to_vec(), "malformed header"),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 46600000 80\r\n".to_vec(), "malformed header"),
            (b"PROXY TCP4 192.0.2.7 4660 80\r\n".to_vec(), "malformed header"),
            (b"PROXY TCP6 192.0.2.7 10.0.0.1 4660 80\r\n".to_vec(), "malformed header"),
            (b"PROXY UDP4 192.0.2.7 10.0.0.1 4660 80\r\n".to_vec(), "malformed header"),
            (b"PROXY \r\n".to_vec(), "malformed header"),
            (b"proxy TCP4 192.0.2.7 10.0.0.1 4660 80\r\n".to_vec(), "no header"),
            (long.into_bytes(), "too long"),
            (v2(0x11, 0x11, FOUR), "malformed header"),
            (v2(0x22, 0x11, FOUR), "malformed header"),
            (v2(0x21, 0x12, FOUR), "a datagram protocol"),
            (v2(0x21, 0x41, FOUR), "malformed header"),
            (v2(0x21, 0x11, &FOUR[1..]), "malformed header"),
            (v2(0x21, 0x21, FOUR), "malformed header"),
            (v2(0x21, 0x11, &[0; V2_LIMIT + 1]), "too long"),
        ] {
            let shown = String::from_utf8_lossy(&header).into_owned();
            let (found, _) = reads(&header).await;
            let error = found.unwrap_err();
            assert!(error.contains(word), "{shown}: {error}");
        }
    }

    #[tokio::test]
    async fn a_header_that_ends_early_is_an_error() {
        for whole in [b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\n".to_vec(), v2(0x21, 0x11, FOUR), v2(0x20, 0, b"")] {
            for end in 0..whole.len() {
                assert!(read(&mut &whole[..end]).await.is_err(), "{end}");
            }
        }
    }
}
