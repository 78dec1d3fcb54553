//! MariaDB's reports of progress, which its command line client shows: packets among those of an
//! answer, for clients that ask for them. On MySQL the test says that it is skipped.

use std::net::SocketAddr;

use crate::client::{Client, Login, capability};
use crate::single;
use crate::software::SOFTWARE;

/// MARIADB_CLIENT_PROGRESS among the extended capabilities.
const PROGRESS: u32 = 1;
/// A row takes 40 ms, so that 32 take longer than the second between two reports.
const LOAD: &str = "LOAD DATA INFILE 'rows' INTO TABLE loaded (id) SET wait = SLEEP(0.04)";

fn client(address: SocketAddr, extended: u32) -> Client {
    let capabilities = capability::DEPRECATE_EOF | capability::MULTI_STATEMENTS;
    let login = Login { capabilities, extended, ..Login::test("app") };
    let mut client = Client::connect(address, &login).expect("a login");
    client.query("SET progress_report_time = 1").expect("done");
    client
}

/// Runs a text that has so many results; gives every packet, and how many are reports.
fn run(client: &mut Client, text: &str, results: usize) -> (Vec<String>, usize) {
    client.command(0x03, text.as_bytes()).expect("it is read");
    let (mut reports, mut ended) = (0, 0);
    while ended < results {
        let packet = client.read_packet().expect("a packet");
        match &packet[..] {
            [0xff, 0xff, 0xff, ..] => reports += 1,
            [0xff, ..] => break,
            [0 | 0xfe, ..] => ended += 1,
            _ => {}
        }
    }
    let packets = client.recorded.iter().map(|packet| packet.escape_ascii().to_string());
    (packets.collect(), reports)
}

/// Goal: reports reach the clients that ask for them, as the server sends them and in sequence
/// with the packets around them; nothing else of an answer changes.
#[test]
fn progress_is_reported() {
    if SOFTWARE.is_mysql() {
        println!("skipped: reports of progress are MariaDB's");
        return;
    }
    let cluster = single::start("progress", "");
    let cluster = cluster.watched();
    let server = &cluster.shards[0].primary;
    server.sql("SET GLOBAL progress_report_time = 1");
    let mut setup = server.client("app");
    for text in [
        "CREATE TABLE loaded (id INT PRIMARY KEY, wait INT)",
        "SELECT seq INTO OUTFILE 'rows' FROM seq_1_to_32",
    ] {
        setup.query(text).expect("done");
    }
    let several = format!("DELETE FROM loaded; {LOAD}; SELECT COUNT(*) FROM loaded");
    let mut seen = Vec::new();
    for address in [server.socket_address(), cluster.proxy().socket_address()] {
        let mut asking = client(address, PROGRESS);
        asking.query("TRUNCATE loaded").expect("done");
        let (several, reports) = run(&mut asking, &several, 3);
        assert_eq!(reports, 1, "{several:?}");
        // The error comes after the first rows have taken their time.
        asking.query("DELETE FROM loaded WHERE id < 32").expect("done");
        let (failed, _) = run(&mut asking, LOAD, 1);
        assert!(failed.last().is_some_and(|packet| packet.contains("Duplicate")), "{failed:?}");
        asking.query("DELETE FROM loaded").expect("done");
        let (alone, reports) = run(&mut asking, LOAD, 1);
        assert_eq!(reports, 1, "{alone:?}");
        let mut plain = client(address, 0);
        let (silent, reports) = run(&mut plain, &format!("DELETE FROM loaded; {LOAD}"), 2);
        assert_eq!(reports, 0, "{silent:?}");
        seen.push([several, failed, alone, silent]);
    }
    assert_eq!(seen[1], seen[0]);
}
