//! Positions in the replication stream.
