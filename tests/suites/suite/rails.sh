# Active Record's tests over the gem mysql2 (the C library), from Debian's source package of Rails.

databases=(activerecord_unittest activerecord_unittest2)

prepare() {
  need ruby ruby
  local package
  for package in ruby-activerecord ruby-rack ruby-actionpack ruby-mysql2 ruby-sqlite3 ruby-minitest ruby-mocha ruby-bcrypt ruby-byebug ruby-msgpack; do
    dpkg -s "$package" >/dev/null 2>&1 || install_packages "$package"
  done
  debian_source rails 2:6.1.7.10+dfsg-1~deb12u3
}

run_suite() {
  cp -r "$source" rails
  cd rails/activerecord
  cat >test/config.yml <<YML
default_connection: mysql2
connections:
  mysql2:
    arunit:
      username: $user
      password: $password
      host: $host
      port: $port
      encoding: utf8mb4
      collation: utf8mb4_unicode_ci
    arunit2:
      username: $user
      password: $password
      host: $host
      port: $port
      encoding: utf8mb4
      collation: utf8mb4_general_ci
YML
  # The files of Rake's task test:mysql2; some need databases of a name of their own.
  local files
  mapfile -t files < <(find test/cases -name '*_test.rb' ! -path '*/adapters/postgresql/*' \
    ! -path '*/adapters/sqlite3/*' | sort)
  local loads=()
  for file in "${files[@]}"; do loads+=(-r "./$file"); done
  local paths=()
  for part in activesupport activemodel activerecord activejob; do paths+=(-I "../$part/lib"); done
  ARCONN=mysql2 timeout 1500 ruby -W0 "${paths[@]}" -I test "${loads[@]}" -e '' -- --verbose --seed 4711 >test.log 2>&1 || true
  tail -n 3000 test.log
  python3 "$here/results.py" minitest test.log >"$results"
}
