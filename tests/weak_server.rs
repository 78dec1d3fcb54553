//! A server that cannot do what Geogate needs is refused by name, and nothing hangs.
//!
//! The server is played by `opensrv-mysql`, which does not offer session tracking; without it
//! changes of a session at the server would go unnoticed.

#![allow(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::disallowed_methods, reason = "the server's tasks end with the test's runtime")]

use std::io;
use std::path::Path;
use std::time::Duration;

use geogate::app::App;
use geogate::config;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use opensrv_mysql::{
    AsyncMysqlIntermediary, AsyncMysqlShim, OkResponse, ParamParser, QueryResultWriter,
    StatementMetaWriter,
};
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;

/// Answers OK to everything.
struct Agreeable;

#[async_trait::async_trait]
impl<W: AsyncWrite + Send + Unpin> AsyncMysqlShim<W> for Agreeable {
    type Error = io::Error;

    async fn on_prepare<'a>(
        &'a mut self,
        _: &'a str,
        info: StatementMetaWriter<'a, W>,
    ) -> io::Result<()> {
        info.reply(1, &[], &[]).await
    }

    async fn on_execute<'a>(
        &'a mut self,
        _: u32,
        _: ParamParser<'a>,
        results: QueryResultWriter<'a, W>,
    ) -> io::Result<()> {
        results.completed(OkResponse::default()).await
    }

    async fn on_close(&mut self, _: u32) {}

    async fn on_query<'a>(
        &'a mut self,
        _: &'a str,
        results: QueryResultWriter<'a, W>,
    ) -> io::Result<()> {
        results.completed(OkResponse::default()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_session_tracking_is_refused_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reader, writer) = stream.into_split();
            tokio::spawn(AsyncMysqlIntermediary::run_on(Agreeable, reader, writer));
        }
    });
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("weak-server");
    let app = tokio::task::spawn_blocking(move || start(&folder, port)).await.unwrap();

    let address = app.address().unwrap();
    let opts = OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(Some("u"))
        .prefer_socket(false)
        .max_allowed_packet(Some(1 << 20))
        .wait_timeout(Some(100));
    let mut client = Conn::new(opts).await.unwrap();
    let asked = client.query_first::<String, _>("SELECT 'x'");
    let answer = tokio::time::timeout(Duration::from_secs(10), asked).await.expect("no hang");
    let Err(Error::Server(error)) = answer else { panic!("{answer:?}") };
    assert!(error.message.contains("GG14003"), "{error}");
    assert!(error.message.contains("SESSION_TRACK"), "{error}");
    drop(client);
    tokio::task::spawn_blocking(move || app.drain(std::time::Duration::ZERO)).await.unwrap();
}

fn start(folder: &Path, port: u16) -> App {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder.join("vschema")).unwrap();
    std::fs::write(folder.join("vschema/app.json"), r#"{"sharded": false}"#).unwrap();
    let text = format!(
        "[proxy]\nworkers = 1\n[listen]\nmysql = \"127.0.0.1:0\"\n[vschema]\npath = \"vschema\"\n\
         [backend]\nuser = \"x\"\npassword = \"x\"\n[[user]]\nname = \"u\"\npassword = \"\"\n\
         [[keyspace]]\nname = \"app\"\n[[keyspace.shard]]\n[[keyspace.shard.server]]\n\
         address = \"127.0.0.1:{port}\"\n"
    );
    let file = folder.join("geogate.toml");
    std::fs::write(&file, text).unwrap();
    App::start(&config::load(&file).unwrap()).unwrap()
}
