# DBD::mysql, the tests of Debian's source package.

. "$here/perl.sh"
databases=(dbdtest)
server_sql='SET GLOBAL local_infile = 1;'

prepare() {
  perl_tools
  debian_source libdbd-mysql-perl 4.050-5
  perl_build --mysql_config="$(command -v mariadb_config)"
}

run_suite() {
  cp -r "$source" module
  cd module
  perl Makefile.PL --mysql_config="$(command -v mariadb_config)" --testdb=dbdtest --testhost="$host" --testport="$port" --testuser="$user" --testpassword="$password"
  make
  CONNECTION_TESTING=1 run_prove
}
