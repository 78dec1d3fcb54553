//! A bank over three shards under seeded faults, of which many strike while a COMMIT is under way.
//!
//! Goal: what the client was told of each COMMIT is true for each shard, and no shard has half of
//! its part. Method: every transfer leaves on each shard a mark with its number and the amount;
//! what was told is compared with the marks, and each balance with the sum of its marks, when all
//! servers are well again.
//!
//! `GEOGATE_SEED=n` repeats the faults; the threads' interleaving is another matter.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, thread};

use crate::client::{Client, Login};
use crate::cluster::{Cluster, Layout, Shard, Watched};
use crate::single::Random;
use crate::transaction_ends::fate_of;

const SHARDS: usize = 3;
const TELLERS: usize = 3;

const VSCHEMA: &str = r#"{"sharded": true, "vindexes": {"hash": {"type": "hash"}}, "tables": {
    "accounts": {"column_vindexes": [{"column": "id", "name": "hash"}]},
    "marks": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}"#;

/// Goal: fifteen faults.
#[test]
fn a_bank_over_shards() {
    run(15);
}

/// Goal: two hundred faults.
#[test]
#[ignore = "takes minutes; tests/run.sh --long runs it"]
fn a_bank_over_shards_for_long() {
    run(200);
}

/// What a client was told of its transfer.
#[derive(Debug)]
enum Told {
    Committed,
    /// It failed before COMMIT, and was rolled back.
    NotTried,
    /// COMMIT failed with this text.
    Failed(String),
}

struct Bank<'a> {
    cluster: &'a Watched<'a>,
    /// For each teller an account on each shard.
    accounts: Vec<[u64; SHARDS]>,
    next: AtomicU64,
    told: Mutex<HashMap<u64, Told>>,
    closed: AtomicBool,
}

struct CloseAtEnd<'a>(&'a AtomicBool);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn run(faults: u32) {
    let seed = env::var("GEOGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.expect("the clock is past 1970").as_micros() as u64
    });
    println!("GEOGATE_SEED={seed}, {faults} faults");
    let layout = Layout::new("bank", &["here"])
        .keyspace("shop", VSCHEMA)
        .shard("-40", "here", &[])
        .shard("40-80", "here", &[])
        .shard("80-", "here", &[])
        .config(
            "[limits]\nmonitor_interval_ms = 100\nmonitor_timeout_ms = 500\nserver_down_ms = 100\n",
        );
    let cluster = Cluster::start(layout);
    let cluster = cluster.watched();
    let tables = [
        "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)",
        "CREATE TABLE marks (id BIGINT, tx BIGINT, amount BIGINT NOT NULL, PRIMARY KEY (id, tx))",
    ];
    cluster.on_primaries("shop", &tables.map(str::to_owned));
    let bank = Bank {
        accounts: open_accounts(&cluster),
        cluster: &cluster,
        next: AtomicU64::new(1),
        told: Mutex::default(),
        closed: AtomicBool::new(false),
    };
    let mut random = Random::new(seed);
    let mut struck = BTreeMap::new();
    thread::scope(|scope| {
        let _close = CloseAtEnd(&bank.closed);
        for teller in 0..TELLERS {
            let (bank, random) = (&bank, Random::new(seed + 1 + teller as u64));
            scope.spawn(move || bank.serve(teller, random));
        }
        for _ in 0..faults {
            thread::sleep(Duration::from_millis(20 + random.below(150)));
            let shard = random.below(SHARDS as u64) as usize;
            *struck.entry(strike(&cluster.shards[shard], &mut random)).or_insert(0) += 1;
        }
    });
    bank.audit(&struck);
}

/// One fault, which is over when this returns. Gives its name.
fn strike(shard: &Shard, random: &mut Random) -> &'static str {
    let server = &shard.primary;
    match random.below(10) {
        0..=4 => {
            kill_transactions(&mut server.client("shop"));
            "transactions killed"
        }
        5..=7 => {
            // Commits hang, and in half of the cases break there.
            let mut locker = server.client("shop");
            locker.query("FLUSH TABLES WITH READ LOCK").expect("ok");
            thread::sleep(Duration::from_millis(random.below(200)));
            if random.below(2) == 0 {
                kill_transactions(&mut server.client("shop"));
            }
            locker.query("UNLOCK TABLES").expect("ok");
            "commits held up"
        }
        8 => {
            server.pause();
            thread::sleep(Duration::from_millis(100 + random.below(1500)));
            server.resume();
            "server paused"
        }
        _ => {
            server.restart();
            "server crashed"
        }
    }
}

fn kill_transactions(root: &mut Client) {
    let sql = "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX \
               WHERE trx_mysql_thread_id <> 0";
    for thread in root.query(sql).expect("threads").texts() {
        // It may have ended meanwhile.
        let _ = root.query(format!("KILL {}", thread[0]));
    }
}

/// Accounts of which each teller has one on each shard.
fn open_accounts(cluster: &Watched<'_>) -> Vec<[u64; SHARDS]> {
    let mut client = cluster.proxy().client("shop");
    let mut found: [Vec<u64>; SHARDS] = Default::default();
    for id in 1.. {
        client.query(format!("INSERT INTO accounts VALUES ({id}, 0)")).expect("stored");
        for (shard, found) in cluster.shards.iter().zip(&mut found) {
            let sql = format!("SELECT COUNT(*) FROM accounts WHERE id = {id}");
            if shard.primary.client("shop").query(sql).expect("a count").scalar() == "1" {
                found.push(id);
            }
        }
        if found.iter().all(|found| found.len() >= TELLERS) {
            break;
        }
    }
    (0..TELLERS).map(|teller| [0, 1, 2].map(|shard| found[shard][teller])).collect()
}

impl Bank<'_> {
    /// Transfers between the accounts of a teller until the bank closes.
    fn serve(&self, teller: usize, mut random: Random) {
        let address = self.cluster.proxy().socket_address();
        let mut client = Client::connect(address, &Login::test("shop")).expect("a login");
        while !self.closed.load(Ordering::Relaxed) {
            let tx = self.next.fetch_add(1, Ordering::Relaxed);
            let told = self.transfer(&mut client, teller, tx, &mut random);
            self.told.lock().expect("no teller panics with it").insert(tx, told);
        }
    }

    fn transfer(&self, client: &mut Client, teller: usize, tx: u64, random: &mut Random) -> Told {
        // The first shard to take part is another one each time.
        let first = random.below(SHARDS as u64) as usize;
        let amount = 1 + random.below(100) as i64;
        let parts = [(first, -2 * amount), ((first + 1) % 3, amount), ((first + 2) % 3, amount)];
        let statements = parts.iter().flat_map(|(shard, amount)| {
            let id = self.accounts[teller][*shard];
            [
                format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {id}"),
                format!("INSERT INTO marks VALUES ({id}, {tx}, {amount})"),
            ]
        });
        client.query("BEGIN").expect("the session goes on");
        for sql in statements {
            if client.query(&sql).is_err() {
                client.query("ROLLBACK").expect("the session goes on");
                return Told::NotTried;
            }
        }
        match client.query("COMMIT") {
            Ok(_) => Told::Committed,
            Err(error) => Told::Failed(error.to_string()),
        }
    }

    /// Compares what was told with what is there.
    fn audit(&self, struck: &BTreeMap<&str, u32>) {
        let mut wrong = Vec::new();
        let mut kept: Vec<Vec<u64>> = Vec::new();
        for (number, shard) in self.cluster.shards.iter().enumerate() {
            let mut client = shard.primary.client("shop");
            let mine: Vec<String> = self.accounts.iter().map(|of| of[number].to_string()).collect();
            let sql = format!(
                "SELECT id, balance, (SELECT COALESCE(SUM(amount), 0) FROM marks m \
                 WHERE m.id = a.id) FROM accounts a WHERE id IN ({})",
                mine.join(", ")
            );
            for row in client.query(sql).expect("balances").texts() {
                if row[1] != row[2] {
                    wrong.push(format!("{}: account {row:?} is no sum of its marks", shard.range));
                }
            }
            let marks = client.query("SELECT tx FROM marks").expect("marks").texts();
            kept.push(marks.iter().map(|row| row[0].parse().expect("a number")).collect());
        }
        let told = self.told.lock().expect("no teller panicked");
        let mut counts = BTreeMap::new();
        for (tx, told) in told.iter() {
            for (shard, kept) in self.cluster.shards.iter().zip(&kept) {
                let (kept, claim) = (kept.contains(tx), claim(told, &shard.range));
                *counts.entry(format!("{claim:?}, kept {kept}")).or_insert(0) += 1;
                let is_true = match claim {
                    Claim::Committed => kept,
                    Claim::NotCommitted => !kept,
                    Claim::Unknown => true,
                };
                if !is_true {
                    wrong.push(format!("{tx} on {}: kept {kept}, told {told:?}", shard.range));
                }
            }
        }
        println!("{struck:?}: {} transfers, parts {counts:?}", told.len());
        assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
        let committed = told.values().filter(|told| matches!(told, Told::Committed)).count();
        assert!(committed > 10, "only {committed} transfers were committed");
    }
}

/// What a client was told of one shard.
#[derive(Debug)]
enum Claim {
    Committed,
    NotCommitted,
    Unknown,
}

fn claim(told: &Told, range: &str) -> Claim {
    match told {
        Told::Committed => Claim::Committed,
        Told::NotTried => Claim::NotCommitted,
        Told::Failed(error) => match fate_of(error, range) {
            Some("committed") => Claim::Committed,
            Some("not known") => Claim::Unknown,
            // An error that names no shards says that nothing was committed.
            _ => Claim::NotCommitted,
        },
    }
}
