//! Runs the differential statements on plain MariaDB and on the sharded proxy, and compares.
//!
//! Goal: no statement gives another answer through the proxy than on one plain server. Method: the
//! files of `differential/` in order, on named sessions; SELECTs again as prepared statements;
//! afterwards the tables themselves, and the shard of every row. `compare` has the rule for what
//! one server does not determine.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::client::{Answer, Client, Login, Parameter};
use crate::cluster::Cluster;
use crate::compare::{
    ACCESS_FLAGS, Determined, Outcome, determined, differences, without_access_flags,
};
use crate::placement::{covers, keyspace_id};
use crate::server::Server;
use crate::shop::{RowOrder, SHARDED, own_shop, plain_server};
use crate::statements::{Expectation, Protocols, Statement, all};

/// How many failures are printed.
const SHOWN_FAILURES: usize = 60;

/// The files are sound: plain servers run every statement as annotated, and what they leave open is
/// counted.
#[test]
fn plain_servers_run_every_statement() {
    let mut run = Run::new(None);
    run.all_statements();
    run.tables_agree(None);
    run.report("plain");
    assert!(run.counts.statements >= 300, "{} statements", run.counts.statements);
    assert!(run.counts.except_order > 0 && run.counts.except_rows > 0, "the rule must be at work");
}

/// Two ways of one plain server to the same rows: only the access flags of the columns differ.
#[test]
fn access_flags_depend_on_the_way() {
    let server = plain_server(RowOrder::AsDeclared);
    let mut seen = 0;
    for columns in ["id, country, balance, name", "id, level, COUNT(*) AS n"] {
        let way = |hint: &str| {
            let group = if columns.contains("COUNT") { "GROUP BY id" } else { "" };
            let sql = format!("SELECT {hint} {columns} FROM shop.customer {group}");
            server.sql(&sql).columns
        };
        for (direct, buffered) in way("").iter().zip(way("SQL_BUFFER_RESULT")) {
            seen |= direct.flags ^ buffered.flags;
            assert_eq!(without_access_flags(direct), without_access_flags(&buffered));
        }
    }
    assert_ne!(seen & ACCESS_FLAGS, 0, "the rule is not needed any more");
}

/// The proxy over four shards answers as one server does.
#[test]
fn sharded_proxy_answers_as_a_plain_server() {
    let cluster = own_shop("differential");
    let watched = cluster.watched();
    let mut run = Run::new(Some(watched.proxy().socket_address()));
    run.all_statements();
    run.tables_agree(Some(&cluster));
    run.report("sharded");
}

#[derive(Default)]
struct Counts {
    statements: usize,
    prepared: usize,
    refused: usize,
    except_order: usize,
    except_rows: usize,
}

struct Run {
    plain: Server,
    reversed: Server,
    proxy: Option<SocketAddr>,
    sessions: BTreeMap<(usize, String), Client>,
    counts: Counts,
    failures: Vec<String>,
}

impl Run {
    fn new(proxy: Option<SocketAddr>) -> Self {
        Self {
            plain: plain_server(RowOrder::AsDeclared),
            reversed: plain_server(RowOrder::Reversed),
            proxy,
            sessions: BTreeMap::new(),
            counts: Counts::default(),
            failures: Vec::new(),
        }
    }

    fn all_statements(&mut self) {
        for statement in all() {
            if let Expectation::Refused(id) = &statement.expectation {
                self.refused(&statement, id);
                continue;
            }
            self.counts.statements += 1;
            let (sql, parameters) = statement.parameterised();
            if statement.protocols != Protocols::Prepared {
                self.compare(&statement, "", |client| client.query(&statement.sql).into());
            }
            if statement.protocols == Protocols::Prepared || statement.can_be_prepared() {
                self.counts.prepared += 1;
                self.compare(&statement, " (prepared)", |client| {
                    execute(client, &sql, &parameters)
                });
            }
        }
    }

    fn refused(&mut self, statement: &Statement, id: &str) {
        self.counts.refused += 1;
        let Some(outcome) = self.on_proxy(statement, |client| client.query(&statement.sql).into())
        else {
            return;
        };
        let refused = matches!(&outcome, Outcome::Error { message, .. } if message.contains(id));
        if !refused {
            self.fail(statement, "", &format!("  not refused with {id}: {outcome:?}\n"));
        }
    }

    fn compare(
        &mut self,
        statement: &Statement,
        protocol: &str,
        run: impl Fn(&mut Client) -> Outcome,
    ) {
        let ordered = statement.is_ordered();
        let plain = run(self.session(0, self.plain.socket_address(), &statement.session));
        let reversed = run(self.session(1, self.reversed.socket_address(), &statement.session));
        let proxy = self.on_proxy(statement, run);
        let expected = match statement.expectation {
            Expectation::Error(expected) => expected,
            _ => 0,
        };
        let errno = match &plain {
            Outcome::Error { errno, .. } => *errno,
            Outcome::Answer(_) => 0,
        };
        if errno != expected {
            let text = format!("  the file says error {expected}, the plain server: {plain:?}\n");
            self.fail(statement, protocol, &text);
        }
        match determined(&plain, &reversed, ordered) {
            Ok(Determined::Fully) => {}
            Ok(Determined::ExceptOrder) => self.counts.except_order += 1,
            Ok(Determined::ExceptRows) => self.counts.except_rows += 1,
            Err(text) => self.fail(statement, protocol, &format!("  {text}\n")),
        }
        if let Some(proxy) = proxy {
            let text = differences(&plain, &reversed, &proxy, ordered);
            if !text.is_empty() {
                self.fail(statement, protocol, &text);
            }
        }
    }

    fn on_proxy(
        &mut self,
        statement: &Statement,
        run: impl Fn(&mut Client) -> Outcome,
    ) -> Option<Outcome> {
        let address = self.proxy?;
        let outcome = run(self.session(2, address, &statement.session));
        if matches!(outcome, Outcome::Error { errno: 0, .. }) {
            // The connection is gone: this statement has failed, the next ones get a new session.
            self.sessions.remove(&(2, statement.session.clone()));
        }
        Some(outcome)
    }

    fn session(&mut self, server: usize, address: SocketAddr, name: &str) -> &mut Client {
        self.sessions.entry((server, name.to_owned())).or_insert_with(|| {
            Client::connect(address, &Login::test("shop"))
                .unwrap_or_else(|error| panic!("session {name}: {error}"))
        })
    }

    /// At the end the tables hold the same rows, and every row lives on its shard.
    fn tables_agree(&mut self, cluster: Option<&Cluster>) {
        self.sessions.clear();
        for (table, column, vindex) in SHARDED {
            let sql = format!("SELECT * FROM shop.{table}");
            let plain = Outcome::Answer(self.plain.sql(&sql));
            let reversed = Outcome::Answer(self.reversed.sql(&sql));
            if determined(&plain, &reversed, false) != Ok(Determined::Fully) {
                self.failures.push(format!("{table}: the plain servers' rows differ at the end"));
            }
            let Some(cluster) = cluster else { continue };
            let mut union = None;
            for shard in cluster.keyspace("shop") {
                let mut answer = shard.primary.sql(&sql);
                let key = answer.columns.iter().position(|known| known.name == column);
                let key = key.expect("the sharding column is in the table");
                for row in &answer.rows {
                    let value = row[key].as_ref().expect("a sharding key is not NULL");
                    if !covers(&shard.range, &keyspace_id(vindex, value)) {
                        let value = String::from_utf8_lossy(value);
                        self.failures.push(format!("{table} {value} is on shard {}", shard.range));
                    }
                }
                match &mut union {
                    None => union = Some(answer),
                    Some(union) => union.rows.append(&mut answer.rows),
                }
            }
            let rows = |mut answer: Answer| {
                answer.columns.clear();
                Outcome::Answer(answer)
            };
            let union = rows(union.expect("shop has shards"));
            let plain = rows(self.plain.sql(&sql));
            let text = differences(&plain, &plain, &union, false);
            if !text.is_empty() {
                self.failures.push(format!("{table} at the end:\n{text}"));
            }
        }
    }

    fn fail(&mut self, statement: &Statement, protocol: &str, text: &str) {
        let Statement { place, sql, .. } = statement;
        self.failures.push(format!("{place}{protocol}: {sql}\n{text}"));
    }

    fn report(&self, name: &str) {
        let Counts { statements, prepared, refused, except_order, except_rows } = self.counts;
        println!(
            "differential ({name}): {statements} statements, {prepared} of them also prepared, \
             {refused} refused by name; compared without order {except_order}, without rows \
             {except_rows}; {} failures",
            self.failures.len()
        );
        let shown = self.failures.iter().take(SHOWN_FAILURES).cloned().collect::<Vec<_>>();
        assert!(shown.is_empty(), "{} failures:\n{}", self.failures.len(), shown.join("\n"));
    }
}

fn execute(client: &mut Client, sql: &str, parameters: &[Parameter]) -> Outcome {
    let prepared = match client.prepare(sql) {
        Ok(prepared) => prepared,
        Err(error) => return Err(error).into(),
    };
    let outcome = client.execute(&prepared, parameters).into();
    let _ = client.close(&prepared);
    outcome
}
