//! What a server says of SET TRANSACTION: only it knows when a transaction has used it.

use super::connection::Connection;
use super::exchange::Failure;
use crate::wire::session_track::SessionChange;
use crate::wire::status::StatusFlags;

/// Makes the server tell the characteristics that wait, with the answer to this and to whatever
/// changes them.
const WATCH: &str = "@@session.session_track_transaction_info = 'CHARACTERISTICS'";

impl Connection {
    /// Forgets a SET TRANSACTION that no transaction has used, and tells from now on what becomes
    /// of the next one.
    pub async fn watch_next_transaction(&mut self) -> Result<(), Failure> {
        let forget = self.no_characteristics();
        self.execute(format!("SET {WATCH}, {forget}").as_bytes()).await?;
        Ok(())
    }

    /// The SET TRANSACTION statements that no transaction has used yet. `None`: the server does not
    /// say.
    pub async fn next_transaction(&mut self) -> Result<Option<Vec<Vec<u8>>>, Failure> {
        self.execute(format!("SET {WATCH}").as_bytes()).await?;
        let told = self.session_changes().flatten().find_map(|change| match change {
            SessionChange::TransactionCharacteristics(text) => Some(text),
            _ => None,
        });
        let statements = |text: &[u8]| {
            let statements = text.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            statements.filter(|text| !text.is_empty()).map(<[u8]>::to_vec).collect()
        };
        Ok(told.map(statements))
    }

    /// Forgets a SET TRANSACTION that no transaction has used, and tells of transactions what the
    /// value of `session_track_transaction_info` says, a literal.
    pub async fn end_next_transaction(&mut self, info: &[u8]) -> Result<(), Failure> {
        let forget = self.no_characteristics();
        let text = format!("SET {forget}, @@session.session_track_transaction_info = ");
        self.execute(&[text.as_bytes(), info].concat()).await?;
        Ok(())
    }

    fn no_characteristics(&self) -> String {
        let [isolation, access] = ["transaction_isolation", "transaction_read_only"]
            .map(|name| self.kind().variable_name(name))
            .map(|name| format!("@@session.{name} = @@session.{name}"));
        format!("{isolation}, {access}")
    }

    /// Whether the server has a transaction open, after an answer that did not say.
    pub async fn is_in_transaction(&mut self) -> Result<bool, Failure> {
        let outcome = self.execute(b"DO 0").await?;
        Ok(outcome.status.contains(StatusFlags::IN_TRANS))
    }
}
