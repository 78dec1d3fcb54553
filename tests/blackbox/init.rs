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
