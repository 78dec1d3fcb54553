//! What is remembered of a shard's primary over a restart: who it is, its epoch, how far it had
//! come, and who was primary before it.
//!
//! A record is written before the server that it names goes into service. So whoever answers for a
//! shard as its primary stands in the record, and a server of an older epoch is known for one
//! whatever it says of itself. The position is a lower bound: it is refreshed in memory with every
//! look and written now and then, so a candidate that lacks some of it surely lacks something,
//! while one that has all of it may still lack what was committed after the last look. That is
//! what asynchronous replication leaves open; it is told when the former primary is seen again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Identity, Server};
use crate::config::Address;
use crate::gtid::Gtids;

/// Former primaries that are kept: more than a shard will ever have servers.
const FORMER_MAX: usize = 32;

/// What is remembered of the primary of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryRecord {
    /// Counts the primaries that the shard has had.
    pub epoch: u64,
    /// Who is in service.
    pub identity: Identity,
    /// Where it was when it went into service.
    pub address: Address,
    /// Transactions that it had when it was looked at last.
    pub shown: Option<Gtids>,
    /// Transactions that the primary before it had shown and that it has not: they are lost.
    pub lost: Option<Gtids>,
    /// Who was primary before and was not seen to follow the present one since.
    pub former: Vec<Former>,
    /// Servers that an operator has admitted in this epoch: they may become primary whatever they
    /// lack.
    pub admitted: Vec<Identity>,
}

/// A primary of an older epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Its epoch.
    pub epoch: u64,
    /// Who it is.
    pub identity: Identity,
    /// Where it was.
    pub address: Address,
}

impl PrimaryRecord {
    /// The record of a shard's first primary, or the next one after `before`.
    pub fn next(
        before: Option<&Self>,
        server: &Server,
        identity: &Identity,
        lost: Option<Gtids>,
    ) -> Self {
        let mut former = before.map_or_else(Vec::new, |before| before.former.clone());
        if let Some(before) = before {
            former.push(Former {
                epoch: before.epoch,
                identity: before.identity.clone(),
                address: before.address.clone(),
            });
        }
        former.retain(|known| known.identity != *identity);
        former.drain(..former.len().saturating_sub(FORMER_MAX));
        Self {
            epoch: before.map_or(1, |before| before.epoch + 1),
            identity: identity.clone(),
            address: server.address.clone(),
            shown: server.health.position.as_ref().map(|position| position.shown.clone()),
            lost,
            former,
            admitted: Vec::new(),
        }
    }

    /// Whether a server is the one in service. One that was not seen yet is known by its address.
    pub fn names(&self, server: &Server) -> bool {
        match &server.health.identity {
            Some(identity) => *identity == self.identity,
            None => server.address == self.address,
        }
    }

    /// The epoch in which a server was primary, if it is held off for that.
    pub fn former(&self, server: &Server) -> Option<u64> {
        let is = |former: &&Former| match &server.health.identity {
            Some(identity) => *identity == former.identity,
            None => server.address == former.address,
        };
        self.former.iter().filter(is).map(|former| former.epoch).max()
    }

    /// The same without a former primary that follows the present one, or was admitted.
    #[must_use]
    pub fn without_former(&self, identity: &Identity) -> Self {
        let mut record = self.clone();
        record.former.retain(|former| former.identity != *identity);
        record
    }

    /// The same with a server that an operator has admitted.
    #[must_use]
    pub fn with_admitted(&self, identity: &Identity) -> Self {
        let mut record = self.without_former(identity);
        if !record.admitted.contains(identity) {
            record.admitted.push(identity.clone());
        }
        record
    }
}

/// The records of all shards by their names (`keyspace:range`), as a document.
pub type PrimaryRecords = BTreeMap<String, PrimaryRecord>;

/// Reads the document; the error says what is wrong with it.
pub fn parse_records(text: &str) -> Result<PrimaryRecords, String> {
    let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if document.format != FORMAT {
        return Err(format!("format {} is not known", document.format));
    }
    let records = document.shards.into_iter().map(|(name, written)| {
        let record = written.check().map_err(|problem| format!("shard {name}: {problem}"))?;
        Ok((name, record))
    });
    records.collect()
}

/// Writes the document.
pub fn render_records(records: &PrimaryRecords) -> String {
    let shards = records.iter().map(|(name, record)| (name.clone(), Written::of(record)));
    let document = Document { format: FORMAT, shards: shards.collect() };
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    shards: BTreeMap<String, Written>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    epoch: u64,
    identity: Identity,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<WrittenFormer>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    admitted: Vec<Identity>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFormer {
    epoch: u64,
    identity: Identity,
    address: String,
}

impl Written {
    fn of(record: &PrimaryRecord) -> Self {
        let former = |former: &Former| WrittenFormer {
            epoch: former.epoch,
            identity: former.identity.clone(),
            address: former.address.to_string(),
        };
        Self {
            epoch: record.epoch,
            identity: record.identity.clone(),
            address: record.address.to_string(),
            shown: record.shown.as_ref().map(Gtids::to_string),
            lost: record.lost.as_ref().map(Gtids::to_string),
            former: record.former.iter().map(former).collect(),
            admitted: record.admitted.clone(),
        }
    }

    fn check(self) -> Result<PrimaryRecord, String> {
        let gtids = |text: &String| {
            let read = match self.identity {
                Identity::MySql { .. } => Gtids::mysql(text),
                Identity::MariaDb { .. } => Gtids::mariadb(text),
            };
            read.ok_or_else(|| format!("'{text}' is no set of GTIDs"))
        };
        let former = |former: WrittenFormer| {
            let address = read_address(&former.address)?;
            Ok(Former { epoch: former.epoch, identity: former.identity, address })
        };
        Ok(PrimaryRecord {
            epoch: self.epoch,
            address: read_address(&self.address)?,
            shown: self.shown.as_ref().map(gtids).transpose()?,
            lost: self.lost.as_ref().map(gtids).transpose()?,
            former: self.former.into_iter().map(former).collect::<Result<_, String>>()?,
            admitted: self.admitted,
            identity: self.identity,
        })
    }
}

fn read_address(text: &str) -> Result<Address, String> {
    Address::parse(text).ok_or_else(|| format!("'{text}' is no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let identity = |id| Identity::MariaDb { server_id: id, gtid_domain_id: 0 };
        let record = PrimaryRecord {
            epoch: 3,
            identity: identity(2),
            address: Address::Tcp("h".into(), 2),
            shown: Gtids::mariadb("0-2-9"),
            lost: Gtids::mariadb("0-1-4"),
            former: vec![Former {
                epoch: 2,
                identity: identity(1),
                address: Address::Unix("/s".into()),
            }],
            admitted: vec![Identity::mysql("u")],
        };
        let records = PrimaryRecords::from([("app:-".to_owned(), record)]);
        let text = render_records(&records);
        assert_eq!(parse_records(&text).unwrap(), records);
        assert_eq!(parse_records("{\"format\": 1, \"shards\": {}}").unwrap().len(), 0);
        for (from, to, says) in [
            ("\"format\": 1", "\"format\": 9", "format 9"),
            ("0-2-9", "x", "'x' is no set of GTIDs"),
            ("h:2", ":2", "':2' is no address"),
            ("\"epoch\": 3", "\"epochs\": 3", "epochs"),
            ("{", "", "expected"),
        ] {
            let error = parse_records(&text.replace(from, to)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
