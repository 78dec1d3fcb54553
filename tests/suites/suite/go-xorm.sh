# xorm (an object mapper over go-sql-driver), its integration tests, Go module.
module=xorm.io/xorm
version=v1.4.3
packages=(./tests)
. "$here/go-module.sh"
databases=(xorm_test)

# A driver that is not to be had from the module proxy.
patch_source() {
  rm tests/engine_dm_test.go
  sed -i "/gitee.com/d" tests/*.go
}

run_tests() {
  timeout 1200 "$1" -test.v -db=mysql -cache=false -quote=always -show_sql=false \
    -conn_str="$user:$password@tcp($host:$port)/xorm_test?charset=utf8mb4"
}
