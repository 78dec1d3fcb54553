//! Commands of the protocol that are about the server itself: COM_REFRESH, COM_STATISTICS.

use crate::error::{SqlError, catalog};
use crate::net::Packet;
use crate::wire::command::code;
use crate::wire::packet::build_packet;
use crate::wire::scanner::Expect;

use super::answer::{Answer, Ran};
use super::{Judges, Session};

impl Session {
    /// COM_REFRESH, which is FLUSH and RESET.
    pub(super) async fn refresh_command(&mut self, packet: Packet) -> Ran {
        if self.services.topology().single_server().is_none() {
            let error = catalog::UNSUPPORTED
                .advising(&[&"COM_REFRESH over several servers"], "send it to each of them");
            return Err(error.into());
        }
        self.forward_to(packet, Expect::OkOrErr, Judges::Primary).await
    }

    /// COM_STATISTICS: one line of text, in the form that servers give it. The only server tells
    /// its own; the threads are the proxy's clients.
    pub(super) async fn statistics(&mut self) -> Answer {
        self.client.drop_command();
        let own = {
            let registry = &self.services.registry;
            format!("Uptime: {}  Threads: {}", registry.seconds(), registry.count())
        };
        let line = match self.server_statistics().await {
            Some(line) => with_threads(&line, self.services.registry.count()),
            None => own,
        };
        build_packet(&mut self.client.framed.out, &mut self.sequence, |out| {
            out.extend_from_slice(line.as_bytes());
        });
        Answer::Buffered
    }

    /// The line of the only server.
    async fn server_statistics(&mut self) -> Option<String> {
        let topology = self.services.topology().clone();
        topology.single_server()?;
        let asked: Result<Vec<u8>, SqlError> = async {
            let (placement, database) = self.any_server(&topology, Judges::Any)?;
            let index = self.attach(placement, &database, false).await?;
            let lease = &mut self.attached[index].lease;
            match lease.answer(code::STATISTICS, b"", Expect::Statistics).await {
                Ok(packets) => {
                    self.settle_quietly(index).await;
                    Ok(packets)
                }
                Err(failure) => Err(self.fail(index, failure).await),
            }
        }
        .await;
        let packets = asked.ok()?;
        let line = crate::backend::Packets::new(&packets).next()?;
        std::str::from_utf8(line).ok().map(str::to_owned)
    }
}

/// The line with another number of threads.
fn with_threads(line: &str, threads: usize) -> String {
    let Some((before, after)) = line.split_once("Threads: ") else { return line.to_owned() };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}Threads: {threads}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_are_the_clients() {
        let line = "Uptime: 5  Threads: 12  Questions: 7";
        assert_eq!(with_threads(line, 3), "Uptime: 5  Threads: 3  Questions: 7");
        assert_eq!(with_threads("Uptime: 5", 3), "Uptime: 5");
    }
}
