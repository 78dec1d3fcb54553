//! What it means when a server does not take Geogate's own account, and what mends it.

/// Why a server does not take the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountTrouble {
    /// Its password has expired: the server refuses the login, or (MariaDB by default) takes it and
    /// refuses every statement.
    Expired,
    /// ALTER USER .. ACCOUNT LOCK.
    Locked,
    /// Name, host or password are not those of an account.
    Denied,
}

impl AccountTrouble {
    /// What a server's error says about the account: ER_MUST_CHANGE_PASSWORD and its _LOGIN;
    /// ER_ACCOUNT_HAS_BEEN_LOCKED of MySQL and of MariaDB; ER_ACCESS_DENIED_ERROR and its
    /// _NO_PASSWORD_ERROR, ER_HOST_NOT_PRIVILEGED, ER_HOST_IS_BLOCKED.
    pub fn of(errno: u16) -> Option<Self> {
        match errno {
            1820 | 1862 => Some(Self::Expired),
            3118 | 4151 => Some(Self::Locked),
            1045 | 1698 | 1130 | 1129 => Some(Self::Denied),
            _ => None,
        }
    }

    /// The trouble in a few words that follow "Geogate's account".
    pub fn reason(self) -> &'static str {
        match self {
            Self::Expired => "whose password has expired",
            Self::Locked => "which is locked",
            Self::Denied => "as [backend] has it",
        }
    }

    /// What mends it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Expired => {
                "ALTER USER .. IDENTIFIED BY .. with the password of [backend] renews it, PASSWORD \
                 EXPIRE NEVER keeps it so; no restart is needed"
            }
            Self::Locked => "ALTER USER .. ACCOUNT UNLOCK; no restart is needed",
            Self::Denied => "compare user and password of [backend] with the server's accounts",
        }
    }
}
