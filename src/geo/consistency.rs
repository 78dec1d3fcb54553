//! What a read promises about the writes that it sees.

use crate::error::{SqlError, catalog};

/// A consistency level of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// The result has every transaction that was committed on the shard's primary before the
    /// statement came: the primary answers.
    #[default]
    Strong,
    /// Any server of the client's region answers, the primary included, with any lag below the
    /// hard cap. The read never leaves the region.
    Local,
    /// Any healthy server answers, the nearest first.
    Eventual,
}

impl Consistency {
    /// Reads the name of a level; levels that are not served yet are refused by name.
    pub fn parse(name: &str) -> Result<Self, SqlError> {
        match name.to_ascii_lowercase().as_str() {
            "strong" => Ok(Self::Strong),
            "local" => Ok(Self::Local),
            "eventual" => Ok(Self::Eventual),
            "bounded" | "session" => Err(catalog::UNSUPPORTED_VALUE.with(&[
                &"read_consistency",
                &name,
                &"strong, local and eventual",
            ])),
            _ => Err(catalog::WRONG_VALUE.with(&[&"read_consistency", &name])),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Local => "local",
            Self::Eventual => "eventual",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names() {
        for level in [Consistency::Strong, Consistency::Local, Consistency::Eventual] {
            assert_eq!(Consistency::parse(level.name()), Ok(level));
        }
        assert_eq!(Consistency::parse("LOCAL"), Ok(Consistency::Local));
        let refused = Consistency::parse("bounded").unwrap_err();
        assert_eq!((refused.id, refused.errno), (Some("GG12040"), 1235));
        assert_eq!(Consistency::parse("weak").unwrap_err().errno, 1231);
    }
}
