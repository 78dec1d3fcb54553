//! Two sessions that take turns on one connection, in scripts of random steps: every answer is what
//! a server of its own gives to two sessions of its own.

use crate::session_state::{ONE, Other, RESET, play_beside};

/// Steps; `$n` is a number. What `transaction_ends` and `next_transaction` are about is left to
/// them.
const STEPS: &[&str] = &[
    // What was inserted.
    "INSERT INTO t (a) VALUES ($n)",
    "INSERT INTO t (a) VALUES (1), (2)",
    "INSERT INTO t (id, a) VALUES (10000 + $n, 1)",
    "INSERT INTO t (id, a) VALUES ($n, 1)",
    "INSERT INTO u (id) VALUES ($n)",
    "INSERT INTO t (a) SELECT $n",
    "REPLACE INTO t (id, a) VALUES ($n, 3)",
    "UPDATE t SET a = LAST_INSERT_ID(a + 1) WHERE id = $n",
    "DELETE FROM t WHERE id = $n",
    "SELECT LAST_INSERT_ID(), @@last_insert_id",
    "SELECT LAST_INSERT_ID(20 + $n)",
    "P: SELECT LAST_INSERT_ID()",
    "P: INSERT INTO t (a) VALUES ($n)",
    "SELECT ROW_COUNT()",
    // Transactions.
    "SET TRANSACTION READ ONLY",
    "SET TRANSACTION READ WRITE",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET SESSION TRANSACTION READ ONLY",
    "SET SESSION TRANSACTION READ WRITE",
    "BEGIN",
    "START TRANSACTION READ ONLY",
    "COMMIT",
    "ROLLBACK",
    "SELECT COUNT(*), SUM(a) FROM t",
    "SELECT 1",
    // Variables.
    "SET @a = $n",
    "SELECT @a, @b",
    "SELECT id INTO @b FROM t WHERE id = $n",
    "SET SESSION default_week_format = $n MOD 8",
    "SET GLOBAL default_week_format = $n MOD 8",
    "SELECT @@default_week_format, @@group_concat_max_len, @@sql_mode = ''",
    "SET SESSION group_concat_max_len = 10 + $n",
    "SET default_week_format = DEFAULT",
    "SET sql_mode = ''",
    "SET sql_mode = DEFAULT",
    "PREPARE s FROM 'SELECT LAST_INSERT_ID(), $n'",
    "EXECUTE s",
    // What is there for a while.
    "CREATE TEMPORARY TABLE IF NOT EXISTS tmp (n INT)",
    "INSERT INTO tmp VALUES ($n)",
    "SELECT COUNT(*) FROM tmp",
    "SELECT GET_LOCK('random', 0)",
    "SELECT RELEASE_LOCK('random')",
    "SELECT CAST('9x' AS SIGNED)",
    RESET,
];

/// Numbers that look random, from a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        ((self.0 >> 33) % limit as u64) as usize
    }
}

/// Sessions keep the connection now and then, which the other one then does not get.
fn keeps(script: &[String]) -> bool {
    let mut kept = [false; 2];
    for step in script {
        let (who, step) = step.strip_prefix("B: ").map_or((0, &**step), |rest| (1, rest));
        if kept[1 - who] {
            return true;
        }
        kept[who] |=
            ["BEGIN", "START", "CREATE", "SELECT GET"].iter().any(|begin| step.starts_with(begin));
        if step == RESET {
            kept[who] = false;
        }
    }
    false
}

fn script(seed: u64) -> Vec<String> {
    let mut numbers = Numbers(seed);
    let mut steps: Vec<String> = Vec::new();
    while steps.len() < 30 {
        let who = if numbers.below(3) == 0 { "B: " } else { "" };
        let step = STEPS[numbers.below(STEPS.len())];
        let step = step.replace("$n", &(1 + numbers.below(6)).to_string());
        steps.push(format!("{who}{step}"));
        if keeps(&steps) {
            steps.pop();
        }
    }
    let begin = "SET GLOBAL default_week_format = 0";
    steps.insert(0, begin.to_owned());
    steps.push(RESET.to_owned());
    steps.push(format!("B: {RESET}"));
    steps.push(begin.to_owned());
    steps
}

fn play_seeds(seeds: std::ops::Range<u64>) {
    let scripts: Vec<Vec<String>> = seeds.map(script).collect();
    let scripts: Vec<Vec<&str>> =
        scripts.iter().map(|lines| lines.iter().map(String::as_str).collect()).collect();
    let scripts: Vec<&[&str]> = scripts.iter().map(Vec::as_slice).collect();
    play_beside(&ONE, &scripts, Other::Waits);
}

#[test]
fn random_steps() {
    play_seeds(0..20);
}

#[test]
#[ignore = "long"]
fn many_random_steps() {
    play_seeds(20..320);
}
