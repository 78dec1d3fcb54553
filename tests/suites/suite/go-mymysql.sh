# ziutek/mymysql, an implementation of the protocol of its own, and what is built on it.
module=github.com/ziutek/mymysql
version=v1.5.4
packages=(./native ./thrsafe ./autorc ./godrv)
. "$here/go-module.sh"
databases=(test)

# The address and the account stand in the tests.
patch_source() {
  sed -i 's/"127\.0\.0\.1:3306"/os.Getenv("SUITE_ADDRESS")/; s/"testuser"/"suite"/; s/"TestPasswd9"/"suite"/;
    s|"test/testuser/TestPasswd9"|"tcp:" + os.Getenv("SUITE_ADDRESS") + "*test/suite/suite"|' ./*/*_test.go
  sed -i 's/^const (/var (/' thrsafe/thrsafe_test.go
  local file
  for file in $(grep -l SUITE_ADDRESS ./*/*_test.go); do
    grep -q '"os"' "$file" || sed -i '0,/^import (/s//import (\n\t"os"/' "$file"
  done
}

run_tests() { SUITE_ADDRESS=$host:$port timeout 300 "$1" -test.v; }
