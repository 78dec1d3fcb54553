//! Blocks of IP addresses, such as `10.1.0.0/16`.

use std::net::IpAddr;

/// A block of IP addresses (RFC 4632, RFC 4291 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    length: u8,
}

impl Cidr {
    /// Reads `address/length` or a single address; bits beyond the length must be zero.
    pub fn parse(text: &str) -> Option<Self> {
        let (network, length) = match text.split_once('/') {
            Some((network, length)) => (network.parse().ok()?, length.parse().ok()?),
            None => {
                let network: IpAddr = text.parse().ok()?;
                (network, if network.is_ipv4() { 32 } else { 128 })
            }
        };
        let (bits, width) = bits(network);
        let host_bits = width.checked_sub(length)?;
        let rest = bits & low_mask(host_bits);
        (rest == 0).then_some(Self { network, length })
    }

    /// Whether an address is in the block. An IPv4 address that came as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let (network, width) = bits(self.network);
        let (address, address_width) = bits(address);
        let mask = !low_mask(width - self.length);
        width == address_width && address & mask == network & mask
    }

    /// The number of fixed bits: of two blocks that contain an address the longer one counts.
    pub fn length(&self) -> u8 {
        self.length
    }
}

fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

fn low_mask(count: u8) -> u128 {
    1u128.checked_shl(u32::from(count)).map_or(u128::MAX, |bit| bit - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_contain_their_addresses() {
        let cases = [
            ("10.1.0.0/16", "10.1.2.3", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("10.1.0.0/16", "::ffff:10.1.2.3", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::", true),
            ("2001:db8::/32", "2001:db9::", false),
        ];
        for (block, address, expected) in cases {
            let cidr = Cidr::parse(block).unwrap();
            assert_eq!(cidr.contains(address.parse().unwrap()), expected, "{block} {address}");
        }
        for wrong in ["10.1.0.0/33", "10.1.0.1/16", "x/8", "10.0.0.0/", "::1/129"] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }
}
