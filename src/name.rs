//! Checked names of keyspaces, tables and columns.
