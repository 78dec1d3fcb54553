//! The memory that the process may have: how much that is, whether it is enough for the clients
//! that may come, and who is ended when it is not.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::clock;
use crate::config::Limits;
use crate::observe::{Ended, Seldom};
use crate::session::Services;

/// How often it is measured.
const MEASURE_EVERY: Duration = Duration::from_millis(250);
/// Lines in ten seconds about clients that were ended.
const LINES_MAX: u32 = 3;
/// Bytes of a client that does nothing: two buffers, its session, its task.
const IDLE_CLIENT: usize = 40 << 10;
/// Bytes of the process without clients.
const OF_THE_PROCESS: usize = 64 << 20;
/// Where neither the machine nor the container tells what it has.
const UNKNOWN: usize = 4 << 30;

/// The limit of the process in bytes. Where the clients that may come fill half of it by being
/// there, the operator is told.
pub(super) fn process_max(limits: &Limits) -> usize {
    let max = match limits.memory_bytes_max {
        0 => available().unwrap_or(UNKNOWN) / 4 * 3,
        max => max,
    };
    let idle = limits.client_connections_max.saturating_mul(IDLE_CLIENT) + OF_THE_PROCESS;
    if idle > max / 2 {
        tracing::warn!(
            memory_bytes_max = max,
            client_connections_max = limits.client_connections_max,
            "idle clients may take {idle} bytes, which leaves little for their statements; raise \
             memory_bytes_max or lower client_connections_max"
        );
    }
    max
}

/// What the machine has, or the container if that is less.
fn available() -> Option<usize> {
    let of_machine =
        fs::read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemTotal:"));
    let of_container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let of_container = of_container.iter().filter_map(|path| bytes_in(Path::new(path)));
    of_container.chain(of_machine).min()
}

fn bytes_in(path: &Path) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Resident bytes of the process.
fn resident() -> Option<usize> {
    kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

fn kilobytes(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: usize = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// Watches over the memory for as long as the runtime lives.
pub(super) fn watch(services: &Arc<Services>, runtime: &Handle) {
    if let Some(resident) = resident() {
        services.memory.note_resident(resident);
    }
    runtime.spawn(hold(Arc::clone(services)));
}

/// Ends who holds the most where there is little left for others.
async fn hold(services: Arc<Services>) {
    let (memory, said) = (&services.memory, Seldom::new(LINES_MAX));
    loop {
        let need = tokio::time::timeout(MEASURE_EVERY, memory.wait_for_need()).await;
        if let Some(resident) = resident() {
            memory.note_resident(resident);
        }
        if !memory.is_tight() {
            continue;
        }
        if let Some((client, held)) = services.registry.end_largest() {
            services.metrics.record_ended(Ended::Memory, 1);
            if let Some(times) = said.count() {
                let limit = memory.process_max();
                let what = "the client that held the most memory was ended";
                tracing::warn!(times, client, held, memory_bytes_max = limit, "{what}");
            }
        }
        if need.is_ok() {
            // What it held comes back in a moment.
            clock::sleep(MEASURE_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells() {
        assert_eq!(kilobytes("VmPeak:\t 3 kB\n", "VmRSS:"), None);
        assert_eq!(kilobytes("VmPeak:\t 3 kB\nVmRSS:\t    1234 kB\n", "VmRSS:"), Some(1234 << 10));
        assert!(resident().unwrap() > 1 << 20);
        assert!(available().unwrap() > 1 << 20);
    }

    #[test]
    fn a_limit_that_is_set_counts() {
        let limits = Limits { memory_bytes_max: 1 << 30, ..Limits::default() };
        assert_eq!(process_max(&limits), 1 << 30);
        assert!(process_max(&Limits::default()) > 1 << 20);
    }
}
