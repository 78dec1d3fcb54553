# Runs Doctrine ORM's tests over PHP's driver $driver; sourced by suite/doctrine-*.sh.

databases=(doctrine_tests)

prepare() {
  need php php8.2-cli
  need phpunit phpunit
  local package
  for package in php8.2-mysql php8.2-xml php8.2-sqlite3 php-doctrine-orm php-doctrine-annotations php-symfony-cache php-symfony-yaml; do
    dpkg -s "$package" >/dev/null 2>&1 || install_packages "$package"
  done
  debian_source php-doctrine-orm 2.14.1+dfsg-1
}

run_suite() {
  cp -r "$source" orm
  cd orm
  # The library is Debian's package; only the tests come from here.
  rm -r lib
  mkdir vendor
  cat >vendor/autoload.php <<'PHP'
<?php
foreach (['ORM', 'Common/Annotations'] as $part) { require_once "Doctrine/$part/autoload.php"; }
foreach (['Cache', 'Yaml'] as $part) { require_once "Symfony/Component/$part/autoload.php"; }
require_once 'Doctrine/Deprecations/PHPUnit/VerifyDeprecations.php';
spl_autoload_register(function ($class) {
  $file = dirname(__DIR__) . '/tests/' . str_replace('\\', '/', $class) . '.php';
  if (file_exists($file)) { require $file; }
});
PHP
  cat >suite.xml <<XML
<phpunit bootstrap="tests/Doctrine/Tests/TestInit.php" convertDeprecationsToExceptions="false">
  <php>
    <ini name="error_reporting" value="-1"/>
    <env name="COLUMNS" value="120"/>
    <var name="db_driver" value="$driver"/>
    <var name="db_host" value="$host"/>
    <var name="db_port" value="$port"/>
    <var name="db_user" value="$user"/>
    <var name="db_password" value="$password"/>
    <var name="db_dbname" value="doctrine_tests"/>
  </php>
  <testsuites><testsuite name="orm"><directory>tests</directory></testsuite></testsuites>
  <groups><exclude><group>performance</group><group>locking_functional</group></exclude></groups>
</phpunit>
XML
  timeout 1200 phpunit -c suite.xml --no-coverage --log-junit junit.xml || true
  python3 "$here/results.py" junit junit.xml >"$results"
}
