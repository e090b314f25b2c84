//! Networks: an address with the length of its prefix.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer};

/// A network such as `192.0.2.0/24`, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// The bits of an address, from the left, and their number.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(four) => (u128::from(u32::from(four)) << 96, 32),
        IpAddr::V6(six) => (six.into(), 128),
    }
}

/// The bits after the prefix.
fn host_bits(address: IpAddr, prefix: u32) -> u128 {
    bits(address).0.checked_shl(prefix).unwrap_or(0)
}

impl Network {
    /// `address/prefix`, or an address. Bits after the prefix must be zero: with some set, it is a mistake.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}': expected a network such as 192.0.2.0/24 or 2001:db8::/32");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (_, size) = bits(address);
        let prefix = match prefix {
            None => size,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
        };
        if prefix > size {
            return Err(wrong());
        }
        // Otherwise it would contain no address: see `contains`.
        if address != address.to_canonical() && prefix >= 96 {
            return Err(format!("'{text}': expected a network of IPv4 without ::ffff:"));
        }
        if host_bits(address, prefix) != 0 {
            return Err(format!("'{text}': the address has bits set after the first {prefix}"));
        }
        Ok(Network { address, prefix })
    }

    /// An IPv4 address that an IPv6 socket shows as `::ffff:192.0.2.1` belongs to its IPv4 networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((ours, size), (theirs, other)) = (bits(self.address), bits(address.to_canonical()));
        size == other && (self.prefix == 0 || (ours ^ theirs) >> (128 - self.prefix) == 0)
    }
}

/// Whether one of the networks contains the address.
pub fn any_contains(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Network::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", &["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.7"][..], &["192.0.3.0", "::1"][..]),
            ("192.0.2.128/25", &["192.0.2.128"], &["192.0.2.127"]),
            ("192.0.2.1", &["192.0.2.1"], &["192.0.2.2"]),
            ("0.0.0.0/0", &["192.0.2.1", "::ffff:192.0.2.7"], &["2001:db8::1"]),
            ("::/0", &["2001:db8::1"], &["192.0.2.1", "::ffff:192.0.2.7"]),
            ("2001:db8::/33", &["2001:db8:7fff::1"], &["2001:db8:8000::1"]),
            ("::1/128", &["::1"], &["::2", "0.0.0.1"]),
        ] {
            let parsed = Network::parse(network).unwrap();
            for address in inside {
                assert!(parsed.contains(address.parse().unwrap()), "{network} {address}");
            }
            for address in outside {
                assert!(!parsed.contains(address.parse().unwrap()), "{network} {address}");
            }
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in ["", "/8", "10/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "10.0.0.0/-1", "localhost"]
        {
            assert!(Network::parse(text).unwrap_err().contains("expected a network"), "{text}");
        }
        for text in ["10.0.0.1/8", "::1/64", "10.0.0.1/0"] {
            assert!(Network::parse(text).unwrap_err().contains("bits set after"), "{text}");
        }
        for text in ["::ffff:192.0.2.7", "::ffff:10.0.0.0/104", "::ffff:0:0/96"] {
            assert!(Network::parse(text).unwrap_err().contains("without ::ffff:"), "{text}");
        }
        assert_eq!(Network::parse("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
    }
}
