# DBD::MariaDB, the tests of Debian's source package.

. "$here/perl.sh"
databases=(dbdtest)
server_sql='SET GLOBAL local_infile = 1;'

prepare() {
  perl_tools
  debian_source libdbd-mariadb-perl 1.22-1
  perl_build
}

run_suite() {
  cp -r "$source" module
  cd module
  perl Makefile.PL --testdb=dbdtest --testhost="$host" --testport="$port" --testuser="$user" --testpassword="$password"
  make
  CONNECTION_TESTING=1 run_prove
}
