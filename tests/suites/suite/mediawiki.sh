# MediaWiki (PHP, mysqli): its installer, then those of its tests that use the database, from Debian's source package.

databases=(suite)

prepare() {
  need php php8.2-cli
  need phpunit phpunit
  local package
  for package in php8.2-mysql php8.2-xml php8.2-intl php8.2-mbstring php8.2-curl php-hamcrest; do
    dpkg -s "$package" >/dev/null 2>&1 || install_packages "$package"
  done
  debian_source mediawiki 1:1.39.17-1+deb12u2
}

run_suite() {
  cp -r "$source" wiki
  cd wiki
  if php maintenance/install.php --dbserver "$host:$port" --dbname wiki --dbuser "$user" --dbpass "$password" \
    --installdbuser "$user" --installdbpass "$password" --pass 'A-long-passw0rd' --server http://localhost --scriptpath '' Wiki Admin; then
    printf 'pass\tinstall\n' >"$results"
  else
    printf 'fail\tinstall\n' >"$results"
    return 0
  fi
  # The tests are for PHPUnit 8: a trait has a signature of that one, its printer is another, and warnings are none of ours.
  grep -rlE 'abstract .*function getMockBuilder\(' tests/phpunit | xargs sed -i -E '/abstract .*function getMockBuilder\(/d'
  cat >tests/phpunit/suite.database.xml <<'XML'
<phpunit bootstrap="bootstrap.maintenance.php" backupGlobals="false" convertDeprecationsToExceptions="false"
    convertNoticesToExceptions="false" convertWarningsToExceptions="false" stderr="true">
  <php><ini name="memory_limit" value="-1"/><ini name="max_execution_time" value="0"/></php>
  <testsuites>
    <testsuite name="database">
      <directory>includes</directory><directory>languages</directory><directory>maintenance</directory><directory>integration</directory>
    </testsuite>
  </testsuites>
  <groups><include><group>Database</group></include><exclude><group>Broken</group></exclude></groups>
</phpunit>
XML
  timeout 2400 php -d auto_prepend_file="$here/mediawiki.php" tests/phpunit/phpunit.php \
    -c tests/phpunit/suite.database.xml --log-junit junit.xml || true
  python3 "$here/results.py" junit junit.xml >>"$results"
}
