//! Clients that do not take their answers, or do not send what they began: for how long they keep
//! connections to servers.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::backend::Pool;
use crate::clock;
use crate::executor::stalled::Crowd;
use crate::observe::{Ended, Seldom};
use crate::session::Services;

/// How often it is looked who is in the way, while somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Lines in ten seconds about what may happen all the time.
const LINES_MAX: u32 = 3;

/// Watches over each server's connections for as long as the runtime lives.
pub(super) fn watch(services: &Arc<Services>, runtime: &Handle) {
    for pool in &services.pools {
        runtime.spawn(make_room(Arc::clone(services), Arc::clone(pool)));
    }
}

/// Makes room for those who wait for a connection of a server that slow clients keep.
async fn make_room(services: Arc<Services>, pool: Arc<Pool>) {
    let (limits, server) = (services.limits.load(), pool.dialer().server());
    let said = Seldom::new(LINES_MAX);
    loop {
        pool.somebody_waits().await;
        clock::sleep(LOOK_EVERY).await;
        let now = clock::now();
        let Some((count, waited)) = pool.waiting(now) else { continue };
        let crowd = Crowd { count, waited, wait_max: pool.wait_max() };
        let ended = services.registry.give_way(server, &crowd, limits.client_slow(), now);
        if ended > 0 {
            services.metrics.record_ended(Ended::Slow, ended);
            if let Some(times) = said.count() {
                let limit = limits.client_slow_ms;
                let what = "slow clients were ended for others who waited for their connections";
                let (clients, waiting) = (ended, count);
                tracing::warn!(times, clients, waiting, client_slow_ms = limit, "{what}");
            }
        }
    }
}

/// Ends clients that have done nothing for as long as they may. To be called from time to time.
pub(super) fn end_silent(services: &Services) {
    let limits = services.limits.load();
    let (write, read) = (limits.client_write_timeout(), limits.client_read_timeout());
    let [readers, senders] = services.registry.end_silent(clock::now(), write, read);
    if readers > 0 {
        services.metrics.record_ended(Ended::WriteTimeout, readers);
        let limit = limits.client_write_timeout_ms;
        let what = "clients that did not take their answers were ended";
        tracing::warn!(clients = readers, client_write_timeout_ms = limit, "{what}");
    }
    if senders > 0 {
        services.metrics.record_ended(Ended::ReadTimeout, senders);
        let limit = limits.client_read_timeout_ms;
        let what = "clients that did not send the rest of a command were ended";
        tracing::warn!(clients = senders, client_read_timeout_ms = limit, "{what}");
    }
}
