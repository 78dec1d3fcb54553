//! Connection attributes of clients that are passed on to servers, as performance_schema has them.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::client::{Client, Login};
use crate::proxy::Proxy;
use crate::server::{RUN, Server};

fn connect(proxy: &Proxy, attributes: &[(&str, &str)]) -> Client {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let attributes = attributes.iter().map(owned).collect();
    let login = Login { attributes, ..Login::test("app") };
    Client::connect(proxy.socket_address(), &login).expect("a login")
}

/// What the server knows of the connection that a client's statement runs on: its id, and an
/// attribute. A statement stays in the list for a moment after its end, so each is marked.
fn seen(client: &mut Client, name: &str) -> (String, String) {
    static MARK: AtomicU32 = AtomicU32::new(0);
    let mark = MARK.fetch_add(1, Ordering::Relaxed);
    let sql = format!(
        "SELECT p.ID, a.ATTR_VALUE FROM information_schema.processlist p \
         JOIN performance_schema.session_connect_attrs a ON a.PROCESSLIST_ID = p.ID \
         WHERE p.INFO LIKE '%mark {mark}.%' AND a.ATTR_NAME = '{name}'"
    );
    let mut rows = client.query(sql).expect("a row").texts();
    assert_eq!(rows.len(), 1, "{rows:?}");
    let mut row = rows.remove(0);
    (row.remove(0), row.remove(0))
}

fn proxy(server: &Server, name: &str, more: &str) -> Proxy {
    let config = format!(
        "{more}\n[[keyspace]]\nname = \"app\"\n[[keyspace.shard]]\nrange = \"-\"\n\
         [[keyspace.shard.server]]\naddress = \"{}\"\nrole = \"primary\"\n",
        server.address()
    );
    let vschema = [("app.json".to_owned(), r#"{"sharded": false}"#.to_owned())];
    Proxy::start(&RUN.path.join(name), &config, &vschema)
}

/// Goal: the attributes that are named are those of the client whose statement runs, whoever else
/// is connected; clients with equal ones share; there are only so many sets.
#[test]
fn named_attributes_are_passed_on() {
    let server = Server::start_with("attributes", &["--performance-schema=ON".to_owned()]);
    server.wait_ready();
    server.sql("CREATE DATABASE app");
    let settings = "[proxy]\npass_attributes = [\"program_name\", \"team\"]\n\
        [limits]\npassed_attribute_sets_max = 2\n";
    let proxy = proxy(&server, "attributes-proxy", settings);
    let mut billing = connect(&proxy, &[("_pid", "1"), ("program_name", "billing")]);
    let mut reports = connect(&proxy, &[("program_name", "reports"), ("team", "blue")]);
    let mut nobody = connect(&proxy, &[("_pid", "2")]);
    let mut third = connect(&proxy, &[("program_name", "third")]);
    let mut again = connect(&proxy, &[("program_name", "billing"), ("_pid", "3")]);
    for _ in 0..20 {
        for (client, program) in [
            (&mut billing, "billing"),
            (&mut again, "billing"),
            (&mut reports, "reports"),
            (&mut nobody, "geogate"),
            (&mut third, "geogate"),
        ] {
            assert_eq!(seen(client, "program_name").1, program);
            assert_eq!(seen(client, "_client_name").1, "geogate");
        }
    }
    assert_eq!(seen(&mut reports, "team").1, "blue");
    again.query("BEGIN").expect("ok");
    let kept = seen(&mut again, "program_name");
    assert_eq!(kept.1, "billing");
    // What one has left is used by the other of the same kind.
    again.query("COMMIT").expect("ok");
    drop(again);
    let ids: Vec<String> = (0..5).map(|_| seen(&mut billing, "program_name").0).collect();
    let programs = server.sql(
        "SELECT COUNT(*) FROM performance_schema.session_connect_attrs \
         WHERE ATTR_NAME = 'program_name' AND ATTR_VALUE = 'billing'",
    );
    let connections: usize = programs.scalar().parse().expect("a number");
    assert!((1..=2).contains(&connections), "{connections} connections: {ids:?}");
    billing.reset().expect("ok");
    assert_eq!(seen(&mut billing, "program_name").1, "billing");
    let logged = proxy.log_tail();
    assert_eq!(logged.matches("passed_attribute_sets_max").count(), 1, "{logged}");
}

/// Goal: attributes of which every client has its own value are refused with the reason.
#[test]
fn some_names_are_refused() {
    let folder = RUN.path.join("attributes-refused");
    std::fs::create_dir_all(&folder).expect("the run's folder is writable");
    let file = folder.join("geogate.toml");
    let config = "[proxy]\npass_attributes = [\"_pid\", \"program_name\", \"_client_name\"]\n\
        [listen]\nmysql = \"127.0.0.1:1\"\n[vschema]\npath = \"vschema\"\n\
        [backend]\nuser = \"geogate\"\n[[keyspace]]\nname = \"app\"\n[[keyspace.shard]]\n\
        [[keyspace.shard.server]]\naddress = \"127.0.0.1:1\"\n";
    std::fs::write(&file, config).expect("the run's folder is writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_geogate"));
    let output = command.args(["check", "--config"]).arg(&file).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("'_pid': every client has another value"), "{said}");
    assert!(said.contains("'_client_name': it tells what speaks to the server"), "{said}");
    assert!(!said.contains("'program_name'"), "{said}");
}
