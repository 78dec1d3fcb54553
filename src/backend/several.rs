//! COM_SET_OPTION: whether a connection takes several statements in one command.
//!
//! Geogate takes such commands apart, so connections do not; but where a stored program ends is not
//! seen by its tokens, so what may follow one is left to the server.

use super::exchange::{Exchange, Failure};
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

impl Several {
    /// Tells the server, unless it is like that already.
    pub(super) async fn change(
        &mut self,
        wanted: Self,
        exchange: &mut Exchange,
    ) -> Result<(), Failure> {
        if *self != wanted {
            let option = u16::from(wanted == Self::Refused);
            exchange.command(code::SET_OPTION, &option.to_le_bytes(), Expect::OkOrErr).await?;
            *self = wanted;
        }
        Ok(())
    }
}
