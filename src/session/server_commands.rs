//! Commands of the protocol that are about the server itself: COM_REFRESH, COM_STATISTICS.

use crate::error::{SqlError, catalog};
use crate::net::Packet;
use crate::wire::command::code;
use crate::wire::packet::build_packet;
use crate::wire::scanner::Expect;

use super::answer::{Answer, Ran};
use super::connections::Connections;
use super::consistency;
use super::consistency::Judges;
use super::exchange;
use super::inspect;
use super::request::Source;
use super::state::State;
use crate::executor::client::Client;

/// COM_FIELD_LIST.
pub(super) async fn list_fields(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    packet: Packet,
) -> Ran {
    if connections.mode.is_several() {
        let payload = client.framed.payload(packet);
        let name = payload.get(1..).unwrap_or_default().split(|byte| *byte == 0).next();
        let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
        if inspect::routed_elsewhere(connections, state, None, &name)?.is_some() {
            let what = "COM_FIELD_LIST of a name that routing rules lead to another table";
            return Err(catalog::UNSUPPORTED.advising(&[&what], "send SHOW COLUMNS").into());
        }
    }
    forward_to(client, connections, state, packet, Expect::FieldList, Judges::Any).await
}

/// COM_DEBUG.
pub(super) async fn debug(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    packet: Packet,
) -> Ran {
    forward_to(client, connections, state, packet, Expect::OkOrErr, Judges::Any).await
}

/// Forwards a command that is not a statement.
async fn forward_to(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    packet: Packet,
    expect: Expect,
    judges: Judges,
) -> Ran {
    let request = Source::Packet(packet);
    connections.begin_stake();
    let topology = connections.services.topology().clone();
    let (placement, database) = consistency::any_server(connections, state, &topology, judges)?;
    let index = connections.attach(client, placement, &database, false).await?;
    let outcome = exchange::exchange(client, connections, index, &request, expect).await?;
    connections.settle(index, &outcome).await;
    Ok(Answer::Sent)
}

/// COM_REFRESH, which is FLUSH and RESET.
pub(super) async fn refresh_command(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    packet: Packet,
) -> Ran {
    if connections.mode.is_several() {
        let error = catalog::UNSUPPORTED
            .advising(&[&"COM_REFRESH over several servers"], "send it to each of them");
        return Err(error.into());
    }
    forward_to(client, connections, state, packet, Expect::OkOrErr, Judges::Primary).await
}

/// COM_STATISTICS: one line of text, in the form that servers give it. The only server tells
/// its own; the threads are the proxy's clients.
pub(super) async fn statistics(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
) -> Answer {
    client.drop_command();
    let own = {
        let registry = &connections.services.registry;
        format!("Uptime: {}  Threads: {}", registry.seconds(), registry.count())
    };
    let line = match server_statistics(client, connections, state).await {
        Some(line) => with_threads(&line, connections.services.registry.count()),
        None => own,
    };
    build_packet(&mut client.framed.out, &mut client.sequence, |out| {
        out.extend_from_slice(line.as_bytes());
    });
    Answer::Buffered
}

/// The line of the only server.
async fn server_statistics(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
) -> Option<String> {
    let topology = connections.services.topology().clone();
    connections.mode.only()?;
    let asked: Result<Vec<u8>, SqlError> = async {
        let (placement, database) =
            consistency::any_server(connections, state, &topology, Judges::Any)?;
        let index = connections.attach(client, placement, &database, false).await?;
        let lease = &mut connections.attached[index].lease;
        match lease.answer(code::STATISTICS, b"", Expect::Statistics).await {
            Ok(packets) => {
                connections.settle_quietly(index).await;
                Ok(packets)
            }
            Err(failure) => Err(connections.fail(index, failure).await),
        }
    }
    .await;
    let packets = asked.ok()?;
    let line = crate::backend::Packets::new(&packets).next()?;
    std::str::from_utf8(line).ok().map(str::to_owned)
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
