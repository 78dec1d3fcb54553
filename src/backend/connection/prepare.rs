//! The prepared statements of a connection: prepare once, execute often, close what nobody uses.

use std::io;

use super::{Connection, Failure};
use crate::backend::bound_types::{Fresh, Need, Variant};
use crate::backend::statements::{Exclusive, Owner, Run, ServerStatement};
use crate::wire::command::code;
use crate::wire::scanner::Expect;

impl Connection {
    /// The server statement that runs what is needed, if it is prepared.
    pub fn known(&mut self, sql: &[u8], need: &Need, owner: &Owner) -> Option<ServerStatement> {
        self.enter_reading();
        self.statements.find(sql, need, owner)
    }

    /// The server statement that runs what is needed: found prepared, or prepared for `owner`.
    pub async fn prepare(
        &mut self,
        sql: &[u8],
        need: &Need,
        owner: &Owner,
    ) -> Result<ServerStatement, PrepareError> {
        if let Some(known) = self.known(sql, need, owner) {
            return Ok(known);
        }
        if need.fresh == Fresh::WillNotDo {
            return Err(PrepareError::TypesLost);
        }
        let id = self.prepare_anew(sql).await?;
        Ok(self.enter_prepared(sql, id, need.after.clone(), owner, Some(Run::Plain)).await?)
    }

    /// Has the server read a statement without running it.
    pub async fn check(&mut self, sql: &[u8]) -> Result<(), Failure> {
        let id = self.prepare_anew(sql).await?;
        self.close_statement(id).await
    }

    async fn prepare_anew(&mut self, sql: &[u8]) -> Result<u32, Failure> {
        let outcome = self.command(code::STMT_PREPARE, sql, Expect::Prepare).await?;
        let prepared = outcome.prepared.map(|prepared| prepared.statement_id);
        Ok(prepared.ok_or_else(|| io::Error::other("the server prepared nothing"))?)
    }

    /// Enters a statement that was prepared, and closes the one that it pushes out.
    pub async fn note_prepared(
        &mut self,
        sql: &[u8],
        id: u32,
        variant: Variant,
        owner: &Owner,
    ) -> Result<ServerStatement, Failure> {
        self.enter_prepared(sql, id, variant, owner, None).await
    }

    async fn enter_prepared(
        &mut self,
        sql: &[u8],
        id: u32,
        variant: Variant,
        owner: &Owner,
        first_run: Option<Run>,
    ) -> Result<ServerStatement, Failure> {
        self.enter_reading();
        let (statement, evicted) = self.statements.insert(sql, id, variant, owner, first_run);
        if let Some(old) = evicted {
            self.close_statement(old).await?;
        }
        Ok(statement)
    }

    /// A prepared statement that nobody else executes until it is given back or closed.
    pub async fn prepare_exclusive(
        &mut self,
        sql: &[u8],
        need: &Need,
    ) -> Result<Exclusive, PrepareError> {
        self.enter_reading();
        if let Some(taken) = self.statements.take(sql, need) {
            return Ok(taken);
        }
        if need.fresh == Fresh::WillNotDo {
            return Err(PrepareError::TypesLost);
        }
        let id = self.prepare_anew(sql).await?;
        Ok(self.statements.exclusive(sql, id, need.after.clone()))
    }

    /// Takes a statement back that has no open cursor any more.
    pub async fn give_back(&mut self, statement: Exclusive, owner: &Owner) -> Result<(), Failure> {
        match self.statements.restore(statement, owner) {
            Some(old) => self.close_statement(old).await,
            None => Ok(()),
        }
    }

    /// The same of one whose cursor is open, and is closed first.
    pub async fn give_back_open(
        &mut self,
        statement: Exclusive,
        owner: &Owner,
    ) -> Result<(), Failure> {
        self.command(code::STMT_RESET, &statement.id.to_le_bytes(), Expect::OkOrErr).await?;
        self.give_back(statement, owner).await
    }

    /// Closes a statement at the server; there is no answer.
    pub async fn close_statement(&mut self, id: u32) -> Result<(), Failure> {
        self.send_command(code::STMT_CLOSE, &id.to_le_bytes()).await.map(drop)
    }

    /// Tells the statement cache under what the server reads statements now.
    fn enter_reading(&mut self) {
        if let Some(reading) = self.mirror.take_reading() {
            self.statements.enter(reading);
        }
    }
}

/// Why there is no server statement to execute.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Preparing failed.
    #[error("{0}")]
    Failed(#[from] Failure),
    /// The one that knows how to read the parameters is not on this connection.
    #[error("the types that were bound earlier are not known on this connection")]
    TypesLost,
}
