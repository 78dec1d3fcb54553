//! A read on several shards: their rows are taken in the plan's order, pass its stages, and go to
//! the client as they come.
//!
//! Memory is bounded: shards that are not read from fill their sockets and wait. What must be kept
//! (sorts, several shards on one connection) counts against the merge budget.

use super::client::Client;
use super::deadline::Fate;
use super::deliver::{Delivered, Outgoing, deliver};
use super::registry::Control;
use super::relay::Forwarded;
use super::stream::{Next, ResultStream, StreamError, Watch};
use crate::backend::{Connection, Failure};
use crate::engine::budget::Budget;
use crate::engine::column::Column;
use crate::engine::merge_sort::MergeSort;
use crate::engine::pipeline::{Flow, Pipeline};
use crate::engine::plan::{Bindings, Merge, SourceOrder};
use crate::engine::row::{Layout, RowFormat};
use crate::error::{SqlError, catalog};
use crate::topology::ServerId;
use crate::wire::capability::Capabilities;
use crate::wire::column::ColumnDefinition;
use crate::wire::column_count::{ColumnCount, Definitions};
use crate::wire::err::ErrPacket;
use crate::wire::ok::{EofPacket, OkPacket};
use crate::wire::packet::build_packet;
use crate::wire::scanner::Outcome;
use crate::wire::status::StatusFlags;

/// Bytes of finished rows that are collected before they are sent.
const SEND_AT: usize = 32 << 10;

/// A shard's rows.
#[derive(Debug)]
pub enum Source<'a> {
    /// Being sent by a server.
    Live(ResultStream<'a>),
    /// Read before, because another shard is on the same connection.
    Kept(Kept),
}

impl Source<'_> {
    /// The server whose connection it keeps.
    fn server(&self) -> Option<ServerId> {
        match self {
            Self::Live(stream) => Some(stream.server()),
            Self::Kept(_) => None,
        }
    }

    /// What the end of a live shard's answer told; nothing for one in memory.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Live(stream) => *stream.outcome(),
            Self::Kept(_) => Outcome::default(),
        }
    }
}

/// A result set in memory.
#[derive(Debug, Default)]
pub struct Kept {
    columns: Vec<Vec<u8>>,
    rows: std::collections::VecDeque<Vec<u8>>,
    warnings: u32,
    /// The server told that it is in a transaction.
    in_transaction: bool,
}

/// How rows of several shards become one answer.
#[derive(Debug)]
pub struct MergeJob<'p, B> {
    /// The plan's stages; `None` concatenates.
    pub merge: Option<&'p Merge>,
    /// The form of the rows.
    pub format: RowFormat,
    /// Whether the client gets the columns' definitions.
    pub definitions: Definitions,
    /// The statement.
    pub bindings: &'p B,
    /// What may be kept in memory.
    pub budget: Budget,
    /// The status that the client must see at the end.
    pub status: StatusFlags,
    /// Without autocommit the read may begin a transaction, of which the servers tell.
    pub may_begin: bool,
}

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Rows sent to the client.
    pub rows: u64,
    /// Warnings of all shards.
    pub warnings: u32,
}

/// Why a merge ended early.
#[derive(Debug)]
pub enum MergeError {
    /// The client was told; all connections are at rest.
    Told(SqlError),
    /// A connection broke: the one with this number. Other connections that are not at rest are
    /// of no use either. The client has not been told, and can be.
    Broken {
        /// Which source.
        source: usize,
        /// What happened.
        failure: Failure,
        /// What the client has seen of the answer: nothing, or a part.
        forwarded: Forwarded,
    },
    /// The client went away.
    ClientGone,
}

impl Kept {
    /// Reads a whole result set into memory.
    pub async fn collect(
        stream: &mut ResultStream<'_>,
        watch: &mut Watch<'_>,
        budget: &mut Budget,
    ) -> Result<Self, StreamError> {
        let mut kept = Self { columns: stream.columns(watch).await?, ..Self::default() };
        while let Next::Row(packet) = stream.next(watch).await? {
            let row = stream.payload(packet).to_vec();
            stream.consume(packet);
            if let Err(error) = budget.take(row.len()) {
                stream.drain(watch).await?;
                return Err(StreamError::Server(error));
            }
            kept.rows.push_back(row);
        }
        kept.warnings = u32::from(stream.outcome().warnings);
        kept.in_transaction = stream.outcome().status.contains(StatusFlags::IN_TRANS);
        Ok(kept)
    }
}

/// Merges the answers of several shards, whose statements have been sent.
pub async fn merge<B: Bindings>(
    client: &mut Client,
    control: &Control,
    sources: &mut [Source<'_>],
    job: MergeJob<'_, B>,
    on_interrupt: impl Fn(&mut Connection),
) -> Result<Merged, MergeError> {
    let (begun, first) = (client.framed.out.len(), client.sequence);
    let forwarded = Forwarded::Nothing;
    let mut run = Run { client, control, sources, job, rows: 0, forwarded };
    let failed = match run.all().await {
        Ok(merged) => return Ok(merged),
        Err(failed) => failed,
    };
    // Whatever went wrong, the servers' work is of no use any more.
    for source in run.sources.iter_mut() {
        if let Source::Live(stream) = source
            && !stream.is_ended()
        {
            on_interrupt(stream.connection());
        }
    }
    let failed = match failed {
        Failed::Sql(error) | Failed::Stream(_, StreamError::Server(error)) => {
            Err(run.fail(error).await)
        }
        Failed::Stream(_, StreamError::Interrupted) => {
            control.clear_query();
            let error = match control.deadline.passed() {
                Some(limit) => Fate::Unchanged.error(limit),
                None => catalog::KILLED.error(),
            };
            Err(run.fail(error).await)
        }
        Failed::Stream(source, StreamError::Broken(failure)) => {
            Err(MergeError::Broken { source, failure, forwarded: run.forwarded })
        }
        Failed::Stream(_, StreamError::ClientGone) | Failed::Client => Err(MergeError::ClientGone),
    };
    if let Err(MergeError::Broken { forwarded: Forwarded::Nothing, .. }) = failed {
        // Another answer can take the place of this one.
        run.client.framed.out.truncate(begun);
        run.client.sequence = first;
    }
    failed
}

/// Why [`Run::all`] stopped.
enum Failed {
    Sql(SqlError),
    Stream(usize, StreamError),
    Client,
}

impl From<SqlError> for Failed {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

struct Run<'r, 'a, 'p, B> {
    client: &'r mut Client,
    control: &'r Control,
    sources: &'r mut [Source<'a>],
    job: MergeJob<'p, B>,
    rows: u64,
    forwarded: Forwarded,
}

impl<B: Bindings> Run<'_, '_, '_, B> {
    async fn all(&mut self) -> Result<Merged, Failed> {
        let layout = self.header().await?;
        let mut pipeline = match self.job.merge {
            Some(merge) => {
                let budget = &self.job.budget;
                Some(Pipeline::new(merge, layout.clone(), self.job.bindings, budget)?)
            }
            None => None,
        };
        match self.job.merge.map(|merge| &merge.order) {
            Some(SourceOrder::MergeSort(keys)) => {
                let mut heads = MergeSort::new(keys, &layout, self.sources.len())?;
                self.sorted(&mut heads, pipeline.as_mut()).await?;
            }
            Some(SourceOrder::Concatenate) | None => self.concatenated(pipeline.as_mut()).await?,
        }
        if let Some(pipeline) = &mut pipeline {
            let mut sink = RowOut::new(self.client);
            pipeline.finish(&mut |row| sink.put(row))?;
            self.rows += sink.rows;
        }
        self.drain().await?;
        let warnings = self.sources.iter().map(Source::warnings).sum();
        self.end(warnings).await?;
        Ok(Merged { rows: self.rows, warnings })
    }

    /// Reads all column definitions and sends the visible ones of the first shard.
    async fn header(&mut self) -> Result<Layout, Failed> {
        let mut first: Option<(Vec<Vec<u8>>, Vec<Column>)> = None;
        let hidden = self.job.merge.map_or(0, |merge| merge.hidden);
        for number in 0..self.sources.len() {
            let (payloads, capabilities) = match &mut self.sources[number] {
                Source::Kept(kept) => (std::mem::take(&mut kept.columns), self.client.capabilities),
                Source::Live(stream) => {
                    let mut watch =
                        Watch { client: &mut self.client.framed, control: self.control };
                    let columns = stream.columns(&mut watch).await;
                    let columns = columns.map_err(|error| Failed::Stream(number, error))?;
                    (columns, stream.connection().capabilities())
                }
            };
            let columns = parse_columns(&payloads, capabilities)?;
            match &first {
                None => first = Some((payloads, columns)),
                Some((_, known)) if same_types(known, &columns) => {}
                Some(_) => {
                    let what = "a result whose columns have different types on different shards";
                    let advice = "CAST the columns to one type";
                    return Err(catalog::UNSUPPORTED.advising(&[&what], advice).into());
                }
            }
        }
        let (payloads, columns) = first.unwrap_or_default();
        let visible = payloads.len().saturating_sub(hidden);
        let definitions = self.job.definitions;
        let (out, sequence) = (&mut self.client.framed.out, &mut self.client.sequence);
        build_packet(out, sequence, |out| {
            ColumnCount::put(out, visible, definitions, self.client.capabilities);
        });
        let described = if definitions == Definitions::Sent { visible } else { 0 };
        for payload in payloads.iter().take(described) {
            build_packet(out, sequence, |out| out.extend_from_slice(payload));
        }
        if !self.client.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            let mut status = self.job.status;
            if self.job.may_begin {
                // Servers have opened the tables by now.
                status.insert(StatusFlags::IN_TRANS);
            }
            let eof = EofPacket { warnings: 0, status };
            build_packet(out, sequence, |out| eof.encode(out));
        }
        Ok(Layout { format: self.job.format, columns, hidden })
    }

    async fn concatenated(&mut self, mut pipeline: Option<&mut Pipeline>) -> Result<(), Failed> {
        for number in 0..self.sources.len() {
            loop {
                let mut watch = Watch { client: &mut self.client.framed, control: self.control };
                let next = self.sources[number].next(&mut watch).await;
                let Some(row) = next.map_err(|error| Failed::Stream(number, error))? else { break };
                let mut sink = RowOut::new(self.client);
                let payload = self.sources[number].payload(&row);
                let flow = match pipeline.as_deref_mut() {
                    Some(pipeline) => pipeline.push(payload, &mut |row| sink.put(row))?,
                    None => {
                        sink.put(payload);
                        Flow::Continue
                    }
                };
                self.rows += sink.rows;
                self.sources[number].consume(row);
                self.send_if_full().await?;
                if flow == Flow::Done {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn sorted(
        &mut self,
        heads: &mut MergeSort,
        mut pipeline: Option<&mut Pipeline>,
    ) -> Result<(), Failed> {
        for number in 0..self.sources.len() {
            self.put_head(heads, number).await?;
        }
        while let Some(number) = heads.smallest()? {
            let mut sink = RowOut::new(self.client);
            let row = heads.take(number);
            let flow = match pipeline.as_deref_mut() {
                Some(pipeline) => pipeline.push(row, &mut |row| sink.put(row))?,
                None => {
                    sink.put(row);
                    Flow::Continue
                }
            };
            self.rows += sink.rows;
            self.send_if_full().await?;
            if flow == Flow::Done {
                return Ok(());
            }
            self.put_head(heads, number).await?;
        }
        Ok(())
    }

    async fn put_head(&mut self, heads: &mut MergeSort, number: usize) -> Result<(), Failed> {
        let mut watch = Watch { client: &mut self.client.framed, control: self.control };
        let next = self.sources[number].next(&mut watch).await;
        if let Some(row) = next.map_err(|error| Failed::Stream(number, error))? {
            heads.put(number, self.sources[number].payload(&row))?;
            self.sources[number].consume(row);
        }
        Ok(())
    }

    async fn send_if_full(&mut self) -> Result<(), Failed> {
        if self.client.framed.out.len() < SEND_AT {
            return Ok(());
        }
        self.send().await
    }

    /// Sends what is finished. A session that has to end does not wait for a client that takes
    /// nothing.
    async fn send(&mut self) -> Result<(), Failed> {
        self.forwarded = Forwarded::Part;
        let sources = &self.sources;
        let keeps = || sources.iter().filter_map(Source::server).collect();
        match deliver(self.client, self.control, Outgoing::Buffer, keeps).await {
            Delivered::Yes => Ok(()),
            Delivered::ClientGone | Delivered::Killed => Err(Failed::Client),
        }
    }

    /// Brings all connections to rest.
    async fn drain(&mut self) -> Result<(), Failed> {
        for (number, source) in self.sources.iter_mut().enumerate() {
            let Source::Live(stream) = source else { continue };
            let mut watch = Watch { client: &mut self.client.framed, control: self.control };
            let drained = stream.drain(&mut watch).await;
            drained.map_err(|error| Failed::Stream(number, error))?;
        }
        Ok(())
    }

    /// Brings all connections to rest and tells the client.
    async fn fail(&mut self, error: SqlError) -> MergeError {
        match self.drain().await {
            Ok(()) => {}
            Err(Failed::Stream(source, StreamError::Broken(failure))) => {
                return MergeError::Broken { source, failure, forwarded: self.forwarded };
            }
            // Interrupted twice: the session has to end.
            Err(_) => return MergeError::ClientGone,
        }
        match self.tell(&error).await {
            Ok(()) => MergeError::Told(error),
            Err(_) => MergeError::ClientGone,
        }
    }

    async fn end(&mut self, warnings: u32) -> Result<(), Failed> {
        let mut status = self.job.status;
        if self.job.may_begin && self.sources.iter().any(Source::is_in_transaction) {
            status.insert(StatusFlags::IN_TRANS);
        }
        let end = OkPacket {
            status,
            warnings: warnings.min(u32::from(u16::MAX)) as u16,
            ..OkPacket::default()
        };
        let capabilities = self.client.capabilities;
        build_packet(&mut self.client.framed.out, &mut self.client.sequence, |out| {
            end.encode_result_end(out, capabilities);
        });
        self.send().await
    }

    /// An error may stand in the place of a row.
    async fn tell(&mut self, error: &SqlError) -> Result<(), Failed> {
        let capabilities = self.client.capabilities;
        build_packet(&mut self.client.framed.out, &mut self.client.sequence, |out| {
            ErrPacket::from(error).encode(out, capabilities);
        });
        self.send().await
    }
}

/// A row of a source, before it is consumed.
enum RowOf {
    Live(crate::net::Packet),
    Kept(Vec<u8>),
}

impl Source<'_> {
    async fn next(&mut self, watch: &mut Watch<'_>) -> Result<Option<RowOf>, StreamError> {
        match self {
            Self::Kept(kept) => Ok(kept.rows.pop_front().map(RowOf::Kept)),
            Self::Live(stream) => match stream.next(watch).await? {
                Next::Row(packet) => Ok(Some(RowOf::Live(packet))),
                Next::End => Ok(None),
            },
        }
    }

    fn payload<'r>(&'r self, row: &'r RowOf) -> &'r [u8] {
        match (self, row) {
            (Self::Live(stream), RowOf::Live(packet)) => stream.payload(*packet),
            (_, RowOf::Kept(row)) => row,
            (Self::Kept(_), RowOf::Live(_)) => &[],
        }
    }

    fn consume(&mut self, row: RowOf) {
        if let (Self::Live(stream), RowOf::Live(packet)) = (self, row) {
            stream.consume(packet);
        }
    }

    fn is_in_transaction(&self) -> bool {
        match self {
            Self::Live(stream) => stream.outcome().status.contains(StatusFlags::IN_TRANS),
            Self::Kept(kept) => kept.in_transaction,
        }
    }

    fn warnings(&self) -> u32 {
        match self {
            Self::Live(stream) => u32::from(stream.outcome().warnings),
            Self::Kept(kept) => kept.warnings,
        }
    }
}

/// Puts finished rows into the client's output buffer.
struct RowOut<'a> {
    out: &'a mut Vec<u8>,
    sequence: &'a mut u8,
    rows: u64,
}

impl<'a> RowOut<'a> {
    fn new(client: &'a mut Client) -> Self {
        Self { out: &mut client.framed.out, sequence: &mut client.sequence, rows: 0 }
    }

    fn put(&mut self, row: &[u8]) {
        build_packet(self.out, self.sequence, |out| out.extend_from_slice(row));
        self.rows += 1;
    }
}

/// The columns of definitions as a server sent them.
pub fn parse_columns(
    payloads: &[Vec<u8>],
    capabilities: Capabilities,
) -> Result<Vec<Column>, SqlError> {
    let parse = |payload: &Vec<u8>| {
        let definition = ColumnDefinition::parse(payload, capabilities)
            .map_err(|malformed| catalog::INTERNAL.with(&[&malformed]))?;
        Ok(Column::new(
            definition.kind.code(),
            definition.flags.bits(),
            definition.collation,
            definition.decimals,
        ))
    };
    payloads.iter().map(parse).collect()
}

/// Whether rows of two shards can be read by one layout.
pub fn same_types(a: &[Column], b: &[Column]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.encodes_like(*b))
}
