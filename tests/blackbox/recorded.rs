//! The packets of a session straight on a server and through the proxy in front of it, side by
//! side.

use std::net::SocketAddr;

use crate::client::{Client, LocalFile, Login};

/// Two addresses that must not be told apart.
pub(crate) struct Sides {
    /// The server.
    pub(crate) direct: SocketAddr,
    /// The proxy.
    pub(crate) proxy: SocketAddr,
}

impl Sides {
    /// Runs the statements in one session on each side; gives the statements whose answers differ
    /// in any byte, sequence ids included, in words.
    pub(crate) fn differences<S: AsRef<[u8]>>(
        &self,
        login: &Login,
        file: Option<&LocalFile>,
        statements: &[S],
    ) -> Vec<String> {
        let record = |address| {
            let mut client = Client::connect(address, login).expect("a login");
            client.local_file = file.cloned();
            let one = |sql: &S| {
                let _ = client.query_all(sql);
                std::mem::take(&mut client.recorded)
            };
            statements.iter().map(one).collect::<Vec<_>>()
        };
        // One after the other: both work on the same tables.
        let (direct, proxy) = (record(self.direct), record(self.proxy));
        let compared = statements.iter().zip(direct.iter().zip(&proxy));
        compared.filter_map(|(sql, (direct, proxy))| unlike(sql.as_ref(), direct, proxy)).collect()
    }
}

fn unlike(sql: &[u8], direct: &[Vec<u8>], proxy: &[Vec<u8>]) -> Option<String> {
    if direct == proxy {
        return None;
    }
    let at = direct.iter().zip(proxy).position(|(a, b)| a != b);
    let at = at.unwrap_or(direct.len().min(proxy.len()));
    let show = |packets: &[Vec<u8>]| match packets.get(at) {
        Some(packet) => packet.escape_ascii().to_string(),
        None => "nothing".to_owned(),
    };
    let (sql, direct, proxy) = (sql.escape_ascii(), show(direct), show(proxy));
    Some(format!("{sql}\n  packet {at}, direct {direct}\n  packet {at}, proxy  {proxy}"))
}
