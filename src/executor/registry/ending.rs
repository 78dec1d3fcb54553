//! Which sessions are ended for what their clients do to others.

use std::sync::Arc;
use std::time::Duration;

use super::{Control, Interrupt, Registry};
use crate::clock::Instant;
use crate::executor::stalled::{self, Awaited, Crowd};
use crate::memory::SMALL;
use crate::topology::ServerId;

impl Registry {
    /// Interrupts sessions whose clients have not taken anything of their answers for `reader`,
    /// or have sent nothing of a command that they began for `sender`; tells how many of each.
    pub fn end_silent(&self, now: Instant, reader: Duration, sender: Duration) -> [usize; 2] {
        let mut ended = [0; 2];
        for control in self.sessions.lock().values() {
            let mut stalled = control.stalled.lock();
            let Some(stalled) = stalled.as_mut().filter(|stalled| !stalled.ended) else { continue };
            let (limit, count) = match stalled.awaited {
                Awaited::Reader => (reader, &mut ended[0]),
                Awaited::Sender => (sender, &mut ended[1]),
            };
            if stalled.silent_for(now) >= limit {
                stalled.ended = true;
                *count += 1;
                control.raise(Interrupt::Stalled);
            }
        }
        ended
    }

    /// Interrupts sessions that keep a connection to `server` for clients that are slow, the
    /// slowest first, as many as others wait for one; tells how many. They may be slow for
    /// `limit`, and less if it gets late for the others.
    pub fn give_way(
        &self,
        server: ServerId,
        crowd: &Crowd,
        limit: Duration,
        now: Instant,
    ) -> usize {
        let patience = stalled::patience(limit, crowd);
        let (mut slow, mut leaving) = (Vec::new(), 0);
        for control in self.sessions.lock().values() {
            let stalled = control.stalled.lock();
            let Some(stalled) = &*stalled else { continue };
            let Some(time) = stalled.slow_with(server, now) else { continue };
            if stalled.ended {
                leaving += 1;
            } else if time >= patience {
                slow.push((time, Arc::clone(control)));
            }
        }
        slow.sort_unstable_by_key(|(time, _)| std::cmp::Reverse(*time));
        slow.truncate(crowd.count.saturating_sub(leaving));
        let ends = |(_, control): &(Duration, Arc<Control>)| {
            let mut stalled = control.stalled.lock();
            let still = stalled.as_mut().filter(|s| s.slow_with(server, now) >= Some(patience));
            still.map(|stalled| {
                stalled.ended = true;
                control.raise(Interrupt::Stalled);
            })
        };
        slow.iter().filter_map(ends).count()
    }

    /// Interrupts the session whose client holds the most memory, if that is not little; gives its
    /// id and the bytes.
    pub fn end_largest(&self) -> Option<(u32, usize)> {
        let sessions = self.sessions.lock();
        let largest = sessions.values().max_by_key(|control| control.account.used())?;
        let held = largest.account.used();
        if held <= SMALL {
            return None;
        }
        largest.raise(Interrupt::Memory);
        Some((largest.id, held))
    }
}
