//! `geogate init` and what people do next, as the README tells it.

use std::process::{Command, Output};

use crate::client::{Client, Login};
use crate::proxy::serve_folder;
use crate::server::{RUN, Server, free_port, wait_until};

fn geogate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geogate"));
    command.args(arguments).output().expect("the binary runs")
}

fn printed(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Goal: what init has written serves clients and lists them, on this host only and without more
/// rights than reading.
#[test]
fn a_new_configuration_lists_its_sessions() {
    let server = Server::start("init");
    server.wait_ready();
    server.sql("CREATE DATABASE app");
    let folder = RUN.path.join("init-proxy");
    let (port, control) = (free_port(), free_port());
    let from = format!("mysql://test:test@127.0.0.1:{}", server.port);
    let (listen, control) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{control}"));
    let out = folder.to_str().expect("a plain path");
    let arguments = ["init", "--from", &from, "--out", out, "--listen", &listen];
    let text = printed(&geogate(&[&arguments[..], &["--control", &control]].concat()));
    let url = format!("http://{control}");
    assert_eq!(
        text,
        format!(
            "wrote {out}/geogate.toml\nwrote {out}/vschema\nkeyspaces: app\n\
             run:     geogate serve --config {out}/geogate.toml\n\
             connect: mysql -h 127.0.0.1 -P {port} -u test -p app\n\
             watch:   geogate sessions --server {url}\n"
        )
    );
    let mut proxy = serve_folder(&folder);
    let mut client = None;
    let address = listen.parse().expect("an address");
    let connected = wait_until(std::time::Duration::from_secs(20), || {
        client = Client::connect(address, &Login::test("app")).ok();
        client.is_some()
    });
    assert!(connected, "the proxy takes no login");
    let mut listed = String::new();
    wait_until(std::time::Duration::from_secs(5), || {
        listed = printed(&geogate(&["sessions", "--server", &url]));
        listed.contains(" app ")
    });
    let lines: Vec<Vec<&str>> = listed.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..4], ["ID", "USER", "CLIENT", "DATABASE"], "{listed}");
    assert_eq!((lines.len(), lines[1][1], lines[1][3]), (2, "test", "app"), "{listed}");
    // Changes are another matter.
    let refused = geogate(&["canary", "abort", "--server", &url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("[[control.token]]"));
    let _ = proxy.kill();
    let _ = proxy.wait();
}

/// Goal: the defaults are those of the README, where no address needs to be told.
#[test]
fn the_defaults_need_no_addresses() {
    let server = Server::start("init-default");
    server.wait_ready();
    server.sql("CREATE DATABASE app");
    let from = format!("mysql://test:test@127.0.0.1:{}", server.port);
    let folder = RUN.path.join("init-default-proxy");
    let out = folder.to_str().expect("a plain path");
    let text = printed(&geogate(&["init", "--from", &from, "--out", out]));
    assert!(text.ends_with("\nwatch:   geogate sessions\n"), "{text}");
    let config = std::fs::read_to_string(folder.join("geogate.toml")).expect("it was written");
    assert!(config.contains("[control]\naddress = \"127.0.0.1:15380\"\n"), "{config}");
}

/// Goal: whatever databases are called, what is written passes `check` and serves them, and what
/// cannot be a keyspace is named; the password need not be on the command line.
#[test]
fn awkward_names_and_no_password_on_the_command_line() {
    let server = Server::start("init-names");
    server.wait_ready();
    let good = ["a-b", "back\\slash", "東京", "-", "Rules", "$x"];
    let bad =
        ["my db", "it's", "a\"b", "a.b", "tick`", "a@b", "c:d", "e/f", "g[h]", "rules", "tables"];
    for name in good.iter().chain(&bad) {
        server.sql(&format!("CREATE DATABASE `{}`", name.replace('`', "``")));
        server.sql(&format!("CREATE TABLE `{}`.t (id INT)", name.replace('`', "``")));
    }
    let folder = RUN.path.join("init names");
    let secret = RUN.path.join("init-secret");
    std::fs::write(&secret, "test\n").expect("writable");
    let (port, control) = (free_port(), free_port());
    let from = format!("mysql://test@127.0.0.1:{}", server.port);
    let (listen, control) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{control}"));
    let (out, file) = (folder.to_str().expect("plain"), secret.to_str().expect("plain"));
    let arguments = ["init", "--from", &from, "--out", out, "--listen", &listen];
    let output =
        geogate(&[&arguments[..], &["--control", &control, "--password-file", file]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = printed(&output);
    assert_eq!(said.lines().count(), bad.len(), "{said}");
    for name in bad {
        assert!(said.contains(&format!("left out: database '{name}': ")), "{said}");
    }
    assert!(text.contains(&format!("--config '{out}/geogate.toml'")), "{text}");
    let config = folder.join("geogate.toml");
    let config = config.to_str().expect("plain");
    printed(&geogate(&["check", "--config", config]));
    let mut proxy = serve_folder(&folder);
    let address = listen.parse().expect("an address");
    let connect = |name: &str| Client::connect(address, &Login::test(name)).ok();
    let limit = std::time::Duration::from_secs(20);
    assert!(wait_until(limit, || connect("").is_some()), "the proxy takes no login");
    for name in good {
        let mut client = connect(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(client.query("SELECT COUNT(*) FROM t").expect(name).scalar(), "0", "{name}");
    }
    let _ = proxy.kill();
    let _ = proxy.wait();
    // By the environment; on the command line it works, with a note.
    let mut command = Command::new(env!("CARGO_BIN_EXE_geogate"));
    let again = RUN.path.join("init-again");
    command.args(["init", "--from", &from, "--out"]).arg(&again).env("MYSQL_PWD", "test");
    printed(&command.output().expect("it runs"));
    let from = from.replace("test@", "test:test@");
    let third = RUN.path.join("init-third");
    let output = geogate(&["init", "--from", &from, "--out", third.to_str().expect("plain")]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("note: every process"));
    printed(&output);
}

/// Goal: all mistakes of configuration and VSchema are told at once, each with its place, those
/// first that others may come from.
#[test]
fn check_tells_all_mistakes_at_once() {
    let folder = RUN.path.join("mistakes");
    std::fs::create_dir_all(folder.join("vschema")).expect("writable");
    let config = folder.join("geogate.toml");
    let check = |text: &str, vschema: &str| {
        std::fs::write(&config, text).expect("writable");
        std::fs::write(folder.join("vschema/app.json"), vschema).expect("writable");
        let output = geogate(&["check", "--config", config.to_str().expect("plain")]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let keyspace = "[vschema]\npath = \"vschema\"\n[backend]\nuser = \"u\"\n[[keyspace]]\nname = \
                    \"app\"\n[[keyspace.shard]]\n[[keyspace.shard.server]]\naddress = \"h:1\"\n";
    let text = check(
        &format!(
            "[limit]\nx = 1\n[proxy]\nworkers = \"two\"\nregoin = \"a\"\n[listen]\nmysql = \
             \"here\"\n[[user]]\nname = \"a\"\npassword_env = \"NOT_SET\"\n{keyspace}"
        ),
        "{\"sharded\": 5}",
    );
    for place in ["`limit`", "line 4", "regoin", "'here'", "NOT_SET", "app.json"] {
        assert!(text.contains(place), "{place}\n{text}");
    }
    let order = ["`limit`", "'here'", "app.json"].map(|place| text.find(place));
    assert!(order.is_sorted(), "{text}");
    // What a start would find beside the text itself.
    let text = check(
        &format!(
            "[listen]\ncollation = \"martian\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n\
             [[user]]\nname = \"a\"\nhash = {{ native = \"x\" }}\n{}",
            keyspace.replace("[[keyspace.shard]]", "[[keyspace.shard]]\nrange = \"80-\"")
        ),
        "{",
    );
    for place in ["'martian'", "[[user]] 'a': hash", "'app'", "app.json"] {
        assert!(text.contains(place), "{place}\n{text}");
    }
    assert!(text.lines().any(|line| line.starts_with("error: ") && line.contains("/c")), "{text}");
}
