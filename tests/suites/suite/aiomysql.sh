# aiomysql's own tests: PyMySQL's protocol over asyncio, pools, SQLAlchemy's core.

server_sql="SET GLOBAL local_infile = 1;
CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY 'suite'; GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;"
proxy_settings='
[[user]]
name = "root"
password = "suite"'

prepare() {
  pypi_source aiomysql 0.3.2
  venv aiomysql 'pymysql==1.1.2' 'pytest==8.4.2' 'sqlalchemy==1.4.54' 'uvloop==0.22.1' 'cryptography==46.0.3'
}

run_suite() {
  cp -r "$source"/{aiomysql,tests} .
  MYSQL_ROOT_PASSWORD=$password "$python" -m pytest -p no:cacheprovider tests --mysql-address="tcp=$host:$port" \
    --junitxml=junit.xml || true
  python3 "$here/results.py" junit junit.xml >"$results"
}
