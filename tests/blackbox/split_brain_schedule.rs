//! A seeded schedule of paused, killed, promoted and restarted servers and proxies, with writers
//! and readers that go on all the while.
//!
//! Goal: no write that was acknowledged is missing from the primary in service, where the promoted
//! replica had it; none is there twice; none is there that was told as not done; and once a newer
//! epoch is in service no statement reaches the server of an older one. Method: every write has a
//! number of its own and is noted with what its client was told and when. In half of the rounds a
//! replica is promoted only when it has everything (the old primary's commits are held up by a lock
//! until then); in the others whenever it comes, and what is missing must be reported.
//!
//! `GEOGATE_SEED=n` repeats the choices; the threads' interleaving is another matter.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use std::{env, thread};

use crate::client::{Client, Error, Login, Parameter};
use crate::cluster::{Cluster, Layout, Watched};
use crate::server::{Server, wait_until};
use crate::single::Random;
use crate::split_brain::{SEEN, server, standing};

/// Rounds with the same servers.
const ROUNDS_EACH: u32 = 10;
const WRITERS: usize = 3;

/// Goal: twenty rounds.
#[test]
fn a_schedule_of_split_brains() {
    run(20);
}

/// Goal: two hundred rounds.
#[test]
#[ignore = "long"]
fn a_long_schedule_of_split_brains() {
    run(200);
}

fn run(rounds: u32) {
    let seed = env::var("GEOGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.expect("the clock is past 1970").as_micros() as u64
    });
    println!("seed {seed}, {rounds} rounds");
    let mut random = Random::new(seed);
    let mut total = Tally::default();
    for first in (0..rounds).step_by(ROUNDS_EACH as usize) {
        let layout = Layout::new(&format!("schedule-{first}"), &["us-east", "eu-west", "ap-south"])
            .keyspace("app", r#"{"tables": {"w": {}}}"#)
            .shard("-", "us-east", &["eu-west", "ap-south"])
            .config(
                "[limits]\nmonitor_interval_ms = 100\nmonitor_timeout_ms = 500\n\
                 server_down_ms = 100",
            );
        let cluster = Cluster::start(layout);
        let cluster = cluster.watched();
        let table = "CREATE TABLE w (seq BIGINT AUTO_INCREMENT PRIMARY KEY, id BIGINT NOT NULL)";
        cluster.on_primaries("app", &[table.to_owned()]);
        let shard = &cluster.shards[0];
        shard.replicas.iter().for_each(|replica| replica.wait_for(&shard.primary));
        let ledger = Ledger::default();
        thread::scope(|scope| {
            let _end = EndAtDrop(&ledger);
            let (cluster, ledger) = (&cluster, &ledger);
            for number in 0..WRITERS {
                scope.spawn(move || ledger.write(cluster, number));
            }
            scope.spawn(move || ledger.read(cluster));
            let mut schedule = Schedule::new(cluster, ledger);
            for round in first..rounds.min(first + ROUNDS_EACH) {
                schedule.round(round, &mut random);
            }
            total.add(&schedule.tally);
        });
    }
    println!("seed {seed}: {total:?}");
    assert!(total.acknowledged > u64::from(rounds) * 10, "{total:?}");
}

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: u64,
    unknown: u64,
    refused: u64,
    /// Acknowledged, and reported as lost with the old primary.
    lost: u64,
    reads: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.refused += other.refused;
        self.lost += other.lost;
        self.reads += other.reads;
    }
}

/// What a writer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Done,
    NotDone,
    Unknown,
}

/// A write.
#[derive(Clone, Debug)]
struct Write {
    id: i64,
    sent: Instant,
    told: Told,
    at: Instant,
    text: String,
}

/// A read: when it was sent, and the number of the server that answered.
type Read = (Instant, String);

/// What all writers and readers have done.
#[derive(Default)]
struct Ledger {
    next: AtomicI64,
    hold: AtomicBool,
    held: AtomicUsize,
    end: AtomicBool,
    writes: Mutex<Vec<Write>>,
    reads: Mutex<Vec<Read>>,
}

struct EndAtDrop<'a>(&'a Ledger);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.end.store(true, Ordering::Relaxed);
    }
}

fn told(result: &Result<(), Error>) -> Told {
    match result {
        Ok(()) => Told::Done,
        Err(Error::Io(_)) => Told::Unknown,
        Err(error) if error.to_string().contains("GG15006") => Told::Unknown,
        Err(_) => Told::NotDone,
    }
}

impl Ledger {
    fn connect(cluster: &Cluster) -> Option<Client> {
        Client::connect(cluster.proxy().socket_address(), &Login::test("app")).ok()
    }

    /// Waits while everybody is to be quiet; whether it goes on.
    fn goes_on(&self) -> bool {
        if self.hold.load(Ordering::Acquire) {
            self.held.fetch_add(1, Ordering::AcqRel);
            while self.hold.load(Ordering::Acquire) && !self.end.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            self.held.fetch_sub(1, Ordering::AcqRel);
        }
        !self.end.load(Ordering::Relaxed)
    }

    fn write(&self, cluster: &Cluster, writer: usize) {
        let mut client = None;
        while self.goes_on() {
            if client.is_none() {
                client = Self::connect(cluster);
            }
            let Some(open) = &mut client else {
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let sent = Instant::now();
            let result = write_one(open, id, writer);
            let text = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let write = Write { id, sent, told: told(&result), at: Instant::now(), text };
            let failed = result.is_err();
            if matches!(result, Err(Error::Io(_))) || failed && open.query("ROLLBACK").is_err() {
                client = None;
            }
            self.writes.lock().expect("no panic").push(write);
            thread::sleep(Duration::from_millis(if failed { 20 } else { 4 }));
        }
    }

    fn read(&self, cluster: &Cluster) {
        let mut client = None;
        let levels = ["strong", "eventual", "local"];
        for number in 0.. {
            if !self.goes_on() {
                break;
            }
            if client.is_none() {
                client = Self::connect(cluster);
            }
            let Some(open) = &mut client else {
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            let sent = Instant::now();
            let level = levels[number % levels.len()];
            let sql =
                format!("SELECT /*vt+ READ_CONSISTENCY={level} */ @@server_id, COUNT(*) FROM w");
            match open.query(sql) {
                Ok(answer) => {
                    let server = answer.texts()[0][0].clone();
                    self.reads.lock().expect("no panic").push((sent, server));
                }
                Err(Error::Io(_)) => client = None,
                Err(_) => {}
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs `act` while nobody writes or reads.
    fn quietly<T>(&self, act: impl FnOnce() -> T) -> T {
        self.hold.store(true, Ordering::Release);
        let quiet = wait_until(Duration::from_secs(60), || {
            self.held.load(Ordering::Acquire) == WRITERS + 1
        });
        assert!(quiet, "somebody waits for ever");
        let done = act();
        self.hold.store(false, Ordering::Release);
        // All go on before the next time.
        let going = || self.held.load(Ordering::Acquire) == 0;
        assert!(wait_until(Duration::from_secs(10), going));
        done
    }
}

/// Writes a row in one of several ways.
fn write_one(client: &mut Client, id: i64, writer: usize) -> Result<(), Error> {
    let insert = format!("INSERT INTO w (id) VALUES ({id})");
    match (id + writer as i64) % 3 {
        0 => client.query(insert).map(drop),
        1 => {
            client.query("BEGIN")?;
            client.query(insert)?;
            client.query("COMMIT").map(drop)
        }
        _ => {
            let statement = client.prepare("INSERT INTO w (id) VALUES (?)")?;
            let written = client.execute(&statement, &[Parameter::Int(id)]).map(drop);
            if written.is_ok() {
                client.close(&statement)?;
            }
            written
        }
    }
}

/// The servers, and who shall be the primary.
struct Schedule<'a> {
    cluster: &'a Watched<'a>,
    ledger: &'a Ledger,
    servers: Vec<&'a Server>,
    numbers: Vec<String>,
    primary: usize,
    tally: Tally,
}

/// When a replica is promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// When it has all that was acknowledged.
    CaughtUp,
    /// Whenever it comes.
    Anyhow,
}

/// What becomes of the old primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    Paused,
    Demoted,
    GoesOn,
}

impl<'a> Schedule<'a> {
    fn new(cluster: &'a Watched<'a>, ledger: &'a Ledger) -> Self {
        let shard = &cluster.shards[0];
        let servers: Vec<&Server> =
            std::iter::once(&shard.primary).chain(&shard.replicas).collect();
        let number = |server: &&Server| server.sql("SELECT @@server_id").scalar();
        let numbers = servers.iter().map(number).collect();
        Self { cluster, ledger, servers, numbers, primary: 0, tally: Tally::default() }
    }

    fn round(&mut self, round: u32, random: &mut Random) {
        let mode = if round.is_multiple_of(2) { Mode::CaughtUp } else { Mode::Anyhow };
        let fate = *random.pick(&[Fate::Killed, Fate::Paused, Fate::Demoted, Fate::GoesOn]);
        let next = (self.primary + 1 + random.below(2) as usize) % 3;
        let (old, new) = (self.servers[self.primary], self.servers[next]);
        println!("round {round}: {mode:?}, {fate:?}, {} -> {}", old.name, new.name);
        pause(random, 400);
        let lags = mode == Mode::Anyhow && random.below(2) == 0;
        if lags {
            new.sql("STOP REPLICA SQL_THREAD");
            pause(random, 800);
        }
        let mut lock = (mode == Mode::CaughtUp).then(|| {
            let mut lock = old.client("");
            lock.query("FLUSH TABLES WITH READ LOCK").expect("nobody else locks");
            new.wait_for(old);
            lock
        });
        match fate {
            Fate::Killed => old.kill(),
            Fate::Paused => old.pause(),
            Fate::Demoted => drop(old.sql("SET GLOBAL read_only = ON")),
            Fate::GoesOn => {}
        }
        pause(random, 1500);
        self.disturb_proxy(random);
        new.promote();
        pause(random, 1500);
        self.disturb_proxy(random);
        match fate {
            Fate::Killed => old.restart(),
            Fate::Paused => old.resume(),
            Fate::Demoted | Fate::GoesOn => {}
        }
        pause(random, 600);
        // The operator has chosen.
        old.sql("SET GLOBAL read_only = ON");
        let serves = self.put_in_service(new, random);
        drop(lock.take());
        self.disturb_proxy(random);
        pause(random, 300);
        self.check(old, new, serves, mode);
        self.primary = next;
    }

    /// Restarts the proxy now and then, in order or not.
    fn disturb_proxy(&self, random: &mut Random) {
        match random.below(8) {
            0 => self.cluster.proxy().restart(),
            1 => {
                self.cluster.proxy().signal("KILL");
                pause(random, 200);
                self.cluster.proxy().restart();
            }
            _ => {}
        }
    }

    /// Waits until the promoted server is in service; gives a moment after that. If it lacks
    /// something of the old one, which lives, the operator admits it.
    fn put_in_service(&self, new: &Server, random: &mut Random) -> Instant {
        let serves = || standing(self.cluster, new) == "in_service";
        let patience = Duration::from_millis(1000 + random.below(500));
        if !wait_until(patience, serves) {
            let body = format!("{{\"server\": \"{}\"}}", new.address());
            let (_, answer) = self.cluster.proxy().http("POST", "/api/v1/servers/admit", &body);
            assert!(wait_until(SEEN, serves), "{answer}\n{}", server(self.cluster, new));
        }
        Instant::now()
    }

    fn check(&mut self, old: &Server, new: &Server, serves: Instant, mode: Mode) {
        let (ledger, cluster) = (self.ledger, self.cluster);
        let written = wait_until(SEEN, || {
            let writes = ledger.writes.lock().expect("no panic");
            writes.iter().any(|write| write.told == Told::Done && write.sent > serves)
        });
        assert!(written, "nothing is written any more: {}", server(cluster, new));
        ledger.quietly(|| {
            let rows = |of: &Server| -> Vec<i64> {
                let rows = of.sql("SELECT id FROM app.w").texts();
                rows.iter().map(|row| row[0].parse().expect("a number")).collect()
            };
            let present = rows(new);
            let there: HashSet<i64> = present.iter().copied().collect();
            let elsewhere: HashSet<i64> = rows(old).into_iter().collect();
            assert_eq!(there.len(), present.len(), "a row is there twice");
            let writes = std::mem::take(&mut *ledger.writes.lock().expect("no panic"));
            let mut lost = Vec::new();
            for write in &writes {
                let (is_there, was_there) =
                    (there.contains(&write.id), elsewhere.contains(&write.id));
                match write.told {
                    Told::Done => self.tally.acknowledged += 1,
                    Told::NotDone => self.tally.refused += 1,
                    Told::Unknown => self.tally.unknown += 1,
                }
                assert!(
                    !(write.told == Told::NotDone && (is_there || was_there)),
                    "told as not done, and it is: {write:?}"
                );
                assert!(
                    is_there || !was_there || write.sent < serves,
                    "it reached a server of an older epoch: {write:?}"
                );
                if write.told == Told::Done && !is_there {
                    lost.push(write);
                }
            }
            assert!(mode == Mode::Anyhow || lost.is_empty(), "acknowledged and lost: {lost:?}");
            let late =
                lost.iter().find(|write| write.at > serves || !elsewhere.contains(&write.id));
            assert!(late.is_none(), "acknowledged by nobody in service: {late:?}");
            self.tally.lost += lost.len() as u64;
            if !lost.is_empty() {
                let reported = wait_until(SEEN, || server(cluster, new)["lost"].is_string());
                assert!(reported, "{} lost, not reported: {}", lost.len(), server(cluster, new));
            }
            let reads = std::mem::take(&mut *ledger.reads.lock().expect("no panic"));
            let stale = &self.numbers[self.primary];
            let late = reads.iter().find(|(sent, number)| *sent > serves && number == stale);
            assert!(late.is_none(), "a read reached a server of an older epoch");
            self.tally.reads += reads.len() as u64;
            for replica in self.servers.iter().filter(|server| server.address() != new.address()) {
                rebuild(replica, new);
            }
            let follows = || standing(cluster, old) == "replica";
            assert!(wait_until(SEEN, follows), "{}", server(cluster, old));
        });
    }
}

/// Gives a server the rows of another one, which it follows then.
fn rebuild(server: &Server, source: &Server) {
    let rows = source.sql("SELECT seq, id FROM app.w").texts();
    let mut client = server.client("app");
    let mut run = |sql: &str| {
        client.query(sql).unwrap_or_else(|error| panic!("{}: {error}: {sql}", server.name));
    };
    run("STOP REPLICA");
    run("SET SESSION sql_log_bin = 0");
    run("TRUNCATE w");
    for some in rows.chunks(1000) {
        let values: Vec<String> =
            some.iter().map(|row| format!("({}, {})", row[0], row[1])).collect();
        run(&format!("INSERT INTO w VALUES {}", values.join(",")));
    }
    server.follow_from_here(source);
}

fn pause(random: &mut Random, most_ms: u64) {
    thread::sleep(Duration::from_millis(random.below(most_ms)));
}
