# Builds a Perl module from $source and runs its tests; sourced by suite/dbd-*.sh.

perl_tools() {
  need gcc build-essential
  need prove perl
  perl -MDBI -e 1 2>/dev/null || install_packages libdbi-perl
  command -v mariadb_config >/dev/null 2>&1 || install_packages libmariadb-dev
  perl -MDevel::CheckLib -e 1 2>/dev/null || install_packages libdevel-checklib-perl
  perl -MTest::Deep -e 1 2>/dev/null || install_packages libtest-deep-perl
  perl -MNet::SSLeay -e 1 2>/dev/null || install_packages libnet-ssleay-perl
  perl -MProc::ProcessTable -e 1 2>/dev/null || install_packages libproc-processtable-perl
}

# perl_build ARGUMENT...: builds $source once.
perl_build() {
  [ -e "$source/.built" ] && return 0
  (cd "$source" && perl Makefile.PL "$@" && make) >"$source.log" 2>&1 || { tail -n 20 "$source.log"; return 1; }
  touch "$source/.built"
}

run_prove() {
  prove -v --merge --blib t/*.t >test.log 2>&1 || true
  cat test.log
  python3 "$here/results.py" tap test.log >"$results"
}
