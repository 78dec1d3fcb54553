# SQLAlchemy's dialect suite with one driver; sourced by suite/sqlalchemy-*.sh, which set $dialect and
# $driver_packages, and perhaps $scheme and $query of the URL.

databases=(test test_schema test_schema_2)

prepare() {
  pypi_source sqlalchemy 2.0.45
  venv "sqlalchemy-$dialect" "$source" 'pytest==8.4.2' "${driver_packages[@]}"
}

run_suite() {
  cp -r "$source"/{lib,test,setup.cfg,pyproject.toml} .
  "$python" -m pytest test/dialect/test_suite.py test/dialect/mysql -p no:cacheprovider --tb=short --maxfail=100000 \
    --dburi "${scheme:-mysql}+$dialect://$user:$password@$host:$port/test${query-?charset=utf8mb4}" --junitxml=junit.xml || true
  python3 "$here/results.py" junit junit.xml >"$results"
}
