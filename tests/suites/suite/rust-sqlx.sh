# The tests of the crate sqlx (a protocol implementation of its own), but those that need a server when they are compiled
# and one that sends 4 GiB.
crate=sqlx
version=0.8.6
arguments=(--no-default-features --features mysql,runtime-tokio,macros,migrate,json,chrono,time,uuid,bigdecimal,rust_decimal,tls-none
  --test mysql --test mysql-types --test mysql-describe --test mysql-derives --test mysql-error --test mysql-test-attr --test mysql-migrate)

# A crate of its workspace that its tests use is not published.
add_fixtures() {
  rm -f Cargo.lock rust-toolchain.toml
  mkdir sqlx-test
  cp "$here/sqlx_test.rs" sqlx-test/lib.rs
  printf '[package]\nname = "sqlx-test"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "lib.rs"\n[dependencies]\nsqlx = { path = "..", default-features = false }\n' \
    >sqlx-test/Cargo.toml
  printf '\n[dev-dependencies.sqlx-test]\npath = "sqlx-test"\n[workspace]\n' >>Cargo.toml
}

# Its tables; the last lines of that file are about an account.
before_tests() {
  cp -r "$(dirname "$programs")/source/tests" .
  sed '/^CREATE USER/d; /^GRANT/d' tests/mysql/setup.sql | mariadb --no-defaults -h"$host" -P"$port" -u"$user" -p"$password" suite
}

. "$here/cargo.sh"
