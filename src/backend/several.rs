//! COM_SET_OPTION: whether a connection takes several statements in one command.
//!
//! Geogate takes such commands apart, so connections do not; but where a stored program ends is not
//! seen by its tokens, so what may follow one is left to the server.

use super::connection::{Connection, Failure};
use crate::wire::command::code;
use crate::wire::scanner::Expect;

/// How many statements a server takes in one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Several {
    /// It takes one, as after the login.
    #[default]
    Refused,
    /// It takes many.
    Taken,
}

impl Connection {
    /// Tells the server to take one statement in a command or many, if it does not already.
    pub async fn set_several(&mut self, several: Several) -> Result<(), Failure> {
        if self.several != several {
            let option = u16::from(several == Several::Refused);
            self.command(code::SET_OPTION, &option.to_le_bytes(), Expect::OkOrErr).await?;
            self.several = several;
        }
        Ok(())
    }
}
