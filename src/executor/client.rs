//! The client's side of a session: its stream, what it can do, and how far the answer to its
//! command has come.

use crate::backend::first_answer_sequence;
use crate::config::Manner;
use crate::net::{Framed, Packet};
use crate::wire::capability::Capabilities;
use crate::wire::query_attributes::{QueryAttributes, text_start};

/// The client's side of a session, as far as answers need it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, in any mixture")]
pub struct Client {
    /// Its stream.
    pub framed: Framed,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its command that runs, as long as that stands in the read buffer.
    pub command: Option<Packet>,
    /// What it sent along with the command that runs.
    pub attributes: QueryAttributes,
    /// It closed its side; nothing more can be told to it.
    pub gone: bool,
    /// It was waited for in the middle of its command.
    pub has_waited: bool,
    /// It has not taken its answer, for which its session ends.
    pub takes_nothing: bool,
    /// Sequence id of the next packet to it.
    pub sequence: u8,
    /// Another answer to the same command follows.
    pub more_follows: bool,
    /// The beginning of what follows the statement in its command.
    pub rest: Vec<u8>,
    /// Its last answer was an error.
    pub failed: bool,
    /// Whether it asked for the mark that some state has changed.
    pub state_marks: StateMarks,
    /// Whether it is told of transactions by servers, as it has asked or not.
    pub transaction_marks: StateMarks,
    /// The form of rows that Geogate makes for the command that runs.
    pub rows: Rows,
}

/// The form of the rows that Geogate makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// For COM_QUERY.
    Text,
    /// For COM_STMT_EXECUTE.
    Binary,
    /// For the cursor of this statement of the client.
    Cursor(u32),
}

impl Client {
    /// A client that has just logged in and can do this.
    pub fn new(framed: Framed, capabilities: Capabilities) -> Self {
        Self {
            framed,
            capabilities,
            command: None,
            attributes: QueryAttributes::default(),
            gone: false,
            has_waited: false,
            takes_nothing: false,
            sequence: 0,
            more_follows: false,
            rest: Vec::new(),
            failed: false,
            state_marks: StateMarks::Dropped,
            transaction_marks: StateMarks::Passed,
            rows: Rows::Text,
        }
    }

    /// What idle timeout holds for it.
    pub fn manner(&self) -> Manner {
        let interactive = self.capabilities.contains(Capabilities::INTERACTIVE);
        if interactive { Manner::Interactive } else { Manner::Program }
    }

    /// Begins a command, which stands in the read buffer.
    pub fn begin_command(&mut self, packet: Packet) {
        self.command = Some(packet);
        self.sequence = first_answer_sequence(packet.len);
        self.rows = Rows::Text;
        self.transaction_marks = StateMarks::Passed;
        self.attributes.clear();
    }

    /// Drops the command that runs from the read buffer, unless that was done already.
    pub fn drop_command(&mut self) {
        if let Some(packet) = self.command.take() {
            self.framed.consume_packet(packet);
        }
    }

    /// Whether it sends attributes with its statements.
    pub fn sends_attributes(&self) -> bool {
        self.capabilities.contains(Capabilities::QUERY_ATTRIBUTES)
    }

    /// The text of a COM_QUERY that stands in the read buffer and is well-formed.
    pub fn text(&self, packet: Packet) -> &[u8] {
        let payload = self.framed.payload(packet);
        let start =
            if self.sends_attributes() { text_start(payload).unwrap_or(payload.len()) } else { 1 };
        payload.get(start..).unwrap_or_default()
    }
}

/// The mark that some session state has changed: Geogate asks servers for it, few clients do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateMarks {
    /// The client did not ask for it.
    #[default]
    Dropped,
    /// The client has set session_track_state_change.
    Passed,
}
