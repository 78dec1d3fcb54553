//! What each side needs beyond frames.
//!
//! A command begins in a frame of its own, and frames count from zero there. Which packet begins
//! one is seen from its sequence id, zero, unless it goes on behind a packet with the last id: in
//! a file for LOAD DATA LOCAL ids start over.
//!
//! A server's packets have ids that count its frames (`net_flush` in MySQL's and MariaDB's
//! `net_serv.cc`), which clients that compress do not look at. They are written anew, as they would
//! be without compression: each one more than that of the packet before it, on either side.
//!
//! A client's packets count likewise only where they are not compressed: servers look at the ids of
//! frames, and MariaDB's client library gives each part of a long command the id zero.

use std::collections::VecDeque;

/// The first byte of a LOCAL INFILE request.
const LOCAL_INFILE: u8 = 0xfb;
/// The length of a packet behind which its command goes on.
const PAYLOAD_MAX: usize = 0xff_ffff;

/// Follows the packets in both directions.
#[derive(Debug, Default)]
pub(super) struct Commands {
    /// The id of the last packet.
    last: u8,
    /// Where that was, and what it was.
    from: From,
    /// Where commands begin in the bytes that wait for a frame.
    starts: VecDeque<usize>,
    incoming: Incoming,
}

/// Where the last packet came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum From {
    #[default]
    Nowhere,
    /// It was written here.
    Here,
    /// The server answered with it.
    Server,
    /// The server asked for a file.
    Request,
}

/// Where in a packet the reader stands.
#[derive(Debug, Default)]
struct Incoming {
    /// Bytes of its header that were seen.
    header: usize,
    length: [u8; 3],
    /// Payload bytes that are still to come, and how many there are.
    left: usize,
    total: usize,
}

impl Commands {
    /// Notes a packet's header among the bytes that wait for a frame.
    pub(super) fn note_outgoing(&mut self, sequence: u8, at: usize) {
        let goes_on = self.last == u8::MAX && matches!(self.from, From::Here | From::Request);
        if sequence == 0 && !goes_on {
            self.starts.push_back(at);
        }
        (self.last, self.from) = (sequence, From::Here);
    }

    /// How many of the first `whole` bytes belong to the first command.
    pub(super) fn of_one(&self, whole: usize) -> usize {
        let next = self.starts.iter().find(|start| **start > 0);
        next.map_or(whole, |next| whole.min(*next))
    }

    /// Takes so many bytes from the front; says whether a command began with them.
    pub(super) fn begins(&mut self, count: usize) -> bool {
        let begins = self.starts.front() == Some(&0);
        if begins {
            self.starts.pop_front();
        }
        for start in &mut self.starts {
            *start -= count;
        }
        begins
    }

    /// Gives the packets of an answer the ids that they would have without compression.
    pub(super) fn renumber(&mut self, mut bytes: &mut [u8]) {
        let mut incoming = std::mem::take(&mut self.incoming);
        while let Some((seen, rest)) = incoming.step(bytes) {
            bytes = rest;
            match seen {
                Seen::Payload { first: LOCAL_INFILE } => self.from = From::Request,
                Seen::Payload { .. } | Seen::Other => {}
                Seen::Id(id) => {
                    (self.last, self.from) = (self.last.wrapping_add(1), From::Server);
                    *id = self.last;
                }
            }
        }
        self.incoming = incoming;
    }
}

/// Follows a client's packets.
#[derive(Debug, Default)]
pub(super) struct Continued {
    incoming: Incoming,
    last: u8,
    /// The last packet was full, so that the next one goes on with its command.
    is_full: bool,
}

impl Continued {
    /// Gives packets that go on behind a full one the ids that they would have without
    /// compression.
    pub(super) fn renumber(&mut self, mut bytes: &mut [u8]) {
        while let Some((seen, rest)) = self.incoming.step(bytes) {
            bytes = rest;
            if let Seen::Id(id) = seen {
                if self.is_full {
                    *id = self.last.wrapping_add(1);
                }
                self.last = *id;
                self.is_full = self.incoming.total == PAYLOAD_MAX;
            }
        }
    }
}

/// What a reader has come across.
enum Seen<'a> {
    /// The id in a packet's header.
    Id(&'a mut u8),
    /// The beginning of a payload.
    Payload {
        first: u8,
    },
    Other,
}

impl Incoming {
    /// Goes on to the next part of a packet.
    fn step<'a>(&mut self, bytes: &'a mut [u8]) -> Option<(Seen<'a>, &'a mut [u8])> {
        if self.left > 0 {
            let first = *bytes.first()?;
            let begins = self.left == self.total;
            let count = self.left.min(bytes.len());
            self.left -= count;
            let seen = if begins { Seen::Payload { first } } else { Seen::Other };
            return Some((seen, &mut bytes[count..]));
        }
        let (first, rest) = bytes.split_first_mut()?;
        if let Some(place) = self.length.get_mut(self.header) {
            *place = *first;
            self.header += 1;
            return Some((Seen::Other, rest));
        }
        let [low, middle, high] = self.length;
        let total = u32::from_le_bytes([low, middle, high, 0]) as usize;
        *self = Self { left: total, total, ..Self::default() };
        Some((Seen::Id(first), rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renumbered(commands: &mut Commands, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes.chunks_mut(piece).for_each(|chunk| commands.renumber(chunk));
        bytes
    }

    #[test]
    fn answers_go_on_where_the_command_ended() {
        let answer = [2, 0, 0, 9, 7, 7, 0, 0, 0, 3, 1, 0, 0, 3, 0xfe];
        let wanted = [2, 0, 0, 1, 7, 7, 0, 0, 0, 2, 1, 0, 0, 3, 0xfe];
        for piece in [1, 2, 3, 15] {
            let mut commands = Commands::default();
            commands.note_outgoing(0, 0);
            assert_eq!(renumbered(&mut commands, &answer, piece), wanted);
        }
    }

    #[test]
    fn long_commands_count_on() {
        let full = [&[0xff, 0xff, 0xff, 0][..], &vec![3; PAYLOAD_MAX]].concat();
        let sent = [&full[..], &full, &[1, 0, 0, 0, 9, 1, 0, 0, 0, 0x0e]].concat();
        for piece in [7, 4096, sent.len()] {
            let (mut bytes, mut continued) = (sent.clone(), Continued::default());
            bytes.chunks_mut(piece).for_each(|chunk| continued.renumber(chunk));
            let second = full.len();
            let found = [3, second + 3, 2 * second + 3, 2 * second + 8].map(|at| bytes[at]);
            assert_eq!(found, [0, 1, 2, 0]);
        }
    }

    #[test]
    fn commands_begin_frames() {
        let mut commands = Commands::default();
        for (sequence, at) in [(0, 0), (0, 10), (1, 20), (0, 30)] {
            commands.note_outgoing(sequence, at);
        }
        assert_eq!(commands.of_one(40), 10);
        assert!(commands.begins(10));
        assert_eq!(commands.of_one(10), 10);
        assert_eq!(commands.of_one(30), 20);
        assert!(commands.begins(10));
        // The rest of a command that was cut.
        assert_eq!(commands.of_one(20), 10);
        assert!(!commands.begins(10));
        assert!(commands.begins(10));
    }

    #[test]
    fn a_long_file_is_no_command() {
        let mut commands = Commands::default();
        commands.note_outgoing(0, 0);
        assert!(commands.begins(9));
        renumbered(&mut commands, &[2, 0, 0, 1, LOCAL_INFILE, b'x'], 6);
        for sequence in (2..=255).chain(0..3) {
            commands.note_outgoing(sequence, 0);
            assert!(!commands.begins(9), "{sequence}");
        }
        renumbered(&mut commands, &[1, 0, 0, 8, 0], 5);
        commands.note_outgoing(0, 0);
        assert!(commands.begins(9));
        // An answer may end with any id.
        for _ in 0..255 {
            renumbered(&mut commands, &[1, 0, 0, 8, 0], 5);
        }
        assert_eq!(commands.last, 255);
        commands.note_outgoing(0, 0);
        assert!(commands.begins(9));
    }
}
