//! Long statements: whoever shares a worker with them does not wait until they are read.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Parameter;
use crate::shop::SHOP;

/// A read of one row that takes four megabytes to say.
fn four_megabytes(id: usize, condition: &str) -> String {
    let mut text = format!("SELECT id FROM customer WHERE id = {id} AND {condition} (name IN ('a'");
    let mut number = 0;
    while text.len() < 4 << 20 {
        let _ = write!(text, ", '{number:040}'");
        number += 1;
    }
    text.push_str(") OR 1 = 1)");
    text
}

/// Goal: while several clients send statements of four megabytes, text and prepared, a point
/// select of another client takes no longer than its thread's turn; the long
/// ones are answered rightly, in transactions too. Method: there are more of them than workers.
#[test]
fn a_worker_is_not_held_by_long_texts() {
    let cluster = SHOP.watched();
    let proxy = cluster.another_proxy("long-statements", "");
    let over = AtomicBool::new(false);
    let long = |number: usize| {
        let mut client = proxy.client("shop");
        let (mut count, mut longest) = (0, Duration::ZERO);
        while !over.load(Ordering::Relaxed) {
            let started = Instant::now();
            let text = four_megabytes(number, "");
            assert_eq!(client.query(&text).expect("a row").scalar(), number.to_string());
            client.query("BEGIN").expect("ok");
            client.query(&text).expect("a row");
            let short = client.query(format!("SELECT id FROM customer WHERE id = {number}"));
            assert_eq!(short.expect("a row").scalar(), number.to_string());
            client.query("COMMIT").expect("ok");
            let prepared = client.prepare(four_megabytes(number, "id = ? AND"));
            let prepared = prepared.expect("a statement");
            let rows = client.execute(&prepared, &[Parameter::Int(number as i64)]);
            assert_eq!(rows.expect("a row").scalar(), number.to_string());
            client.close(&prepared).expect("it is sent");
            (count, longest) = (count + 4, longest.max(started.elapsed()));
        }
        (count, longest)
    };
    let (served, longs) = thread::scope(|scope| {
        let longs: Vec<_> = (1..=4).map(|number| scope.spawn(move || long(number))).collect();
        let mut client = proxy.client("shop");
        let (started, mut times) = (Instant::now(), Vec::new());
        while started.elapsed() < Duration::from_secs(6) {
            let asked = Instant::now();
            let answer = client.query("SELECT id FROM customer WHERE id = 7");
            times.push(asked.elapsed());
            assert_eq!(answer.expect("a row").scalar(), "7");
            thread::sleep(Duration::from_millis(2));
        }
        over.store(true, Ordering::Relaxed);
        times.sort_unstable();
        let longs: Vec<_> = longs.into_iter().map(|long| long.join().expect("no error")).collect();
        (times, longs)
    });
    let at = |share: f64| served[((served.len() - 1) as f64 * share) as usize];
    println!("point selects: {} in all, p99 {:?}, longest {:?}", served.len(), at(0.99), at(1.0));
    println!("long statements and the longest round of four: {longs:?}");
    assert!(longs.iter().all(|(count, _)| *count > 0), "{longs:?}");
    // Two threads more than processors, each with its turn.
    assert!(at(0.99) < Duration::from_millis(150), "{:?}", at(0.99));
    assert!(at(1.0) < Duration::from_millis(600), "{:?}", at(1.0));
}
