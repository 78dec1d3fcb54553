# The tests of the crate mysql_async.
crate=mysql_async
version=0.37.1
arguments=(--no-default-features --features minimal-rust,derive)
. "$here/cargo.sh"
