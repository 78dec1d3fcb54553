# The tests of the crate mysql.
crate=mysql
version=28.0.4
arguments=(--no-default-features --features default-rust)
add_fixtures() {
  mkdir -p tests/fixtures
  openssl genrsa 2048 2>/dev/null | openssl rsa -pubout -out tests/fixtures/server-public-key.pem 2>/dev/null
}
. "$here/cargo.sh"
