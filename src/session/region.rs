//! Where clients are.

use std::net::IpAddr;

use crate::config::{Cidr, Config};
use crate::region::Region;

/// The regions that the configuration knows, and whose clients are where.
#[derive(Clone, Debug)]
pub struct Geography {
    /// The region of this proxy.
    pub local: Option<Region>,
    /// All regions, in file order.
    pub regions: Vec<Region>,
    clients: Vec<(Cidr, Region)>,
}

impl Geography {
    /// What a configuration says.
    pub fn new(config: &Config) -> Self {
        Self {
            local: config.region.clone(),
            regions: config.regions.clone(),
            clients: config.client_regions.clone(),
        }
    }

    /// The region of a client by its address: that of the longest block that contains it, else the
    /// proxy's.
    pub fn region_of(&self, host: &str) -> Option<Region> {
        let address: Option<IpAddr> = host.parse().ok();
        let blocks = self.clients.iter();
        let containing = blocks.filter(|(block, _)| address.is_some_and(|a| block.contains(a)));
        let longest = containing.max_by_key(|(block, _)| block.length());
        longest.map(|(_, region)| region.clone()).or_else(|| self.local.clone())
    }

    /// Whether the configuration knows a region; without `[[region]]` entries every name will do.
    pub fn knows(&self, region: &Region) -> bool {
        self.regions.is_empty() || self.regions.contains(region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_block_decides() {
        let region = |name: &str| Region::new(name).unwrap();
        let block = |text: &str, name: &str| (Cidr::parse(text).unwrap(), region(name));
        let geography = Geography {
            local: Some(region("us")),
            regions: vec![region("us"), region("eu")],
            clients: vec![
                block("10.1.0.0/16", "eu"),
                block("10.1.2.0/24", "ap"),
                block("10.0.0.0/8", "sa"),
            ],
        };
        for (host, expected) in
            [("10.1.2.3", "ap"), ("10.1.3.3", "eu"), ("10.9.9.9", "sa"), ("::1", "us"), ("x", "us")]
        {
            assert_eq!(geography.region_of(host), Some(region(expected)), "{host}");
        }
        assert!(geography.knows(&region("eu")) && !geography.knows(&region("mars")));
    }
}
