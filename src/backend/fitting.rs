//! Which idle connections serve as well as a new one.

use super::connection::Connection;
use super::mirror::Aligned;
use super::profile::Profile;

/// What a connection must be.
#[derive(Clone, Copy)]
pub(super) struct Fitting {
    profile: Profile,
    fits: fn(&Connection) -> bool,
}

impl Fitting {
    /// Any of this profile.
    pub(super) fn any(profile: Profile) -> Self {
        Self { profile, fits: |_| true }
    }

    /// One that is in no database: a connection cannot leave the one that it is in.
    pub(super) fn in_no_database(profile: Profile) -> Self {
        Self { profile, fits: |connection| connection.mirror().is_in(b"") }
    }

    /// What a new one must be able to do.
    pub(super) fn profile(self) -> Profile {
        self.profile
    }

    /// Whether a connection is like that.
    pub(super) fn is_of(self, connection: &Connection) -> bool {
        connection.profile() == self.profile && (self.fits)(connection)
    }
}

/// How much an idle connection must be told, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// Nothing.
    Equal,
    /// Another database.
    Database,
    /// Settings.
    Settings,
    /// It must be replaced, because no database is wanted and it is in one.
    Replace,
}

impl Fit {
    pub(super) fn of(connection: &Connection, wanted: &Aligned<'_>) -> Self {
        let mirror = connection.mirror();
        let in_database = mirror.is_in(wanted.database);
        if !in_database && wanted.database.is_empty() {
            Self::Replace
        } else if !mirror.has_settings(wanted.settings) {
            Self::Settings
        } else if in_database {
            Self::Equal
        } else {
            Self::Database
        }
    }
}
