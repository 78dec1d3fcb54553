# Installs driver programs, runs them and counts what they report. Sourced by tests/drivers/run.sh and
# tests/drivers/typed.sh, which set $here and $target; uses tests/install.sh.

passed=0 failed=0
# report NAME COMMAND...: runs a driver, shows what failed, adds to the sums.
report() {
  local name=$1 out line note
  shift
  out=$("$@" 2>&1) || true
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' <<<"$out" | tail -n 1 || true)
  note=$(sed -n 's/^note: //p' <<<"$out")
  if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    [ "${BASH_REMATCH[2]}" -eq 0 ] || grep -vxF "$line" <<<"$out" | sed 's/^/    /'
    echo "  $name: ${line//passed,/ok,}${note:+ ($note)}"
  else
    failed=$((failed + 1))
    sed 's/^/    /' <<<"$out" | tail -n 30
    echo "  $name: did not finish"
  fi
}

# prepare_python PACKAGE...: the virtual environment of the driver programs, with these packages.
prepare_python() {
  local venv=$target/drivers/venv python=python3 wanted
  need python3 python3 python3-venv
  if [ ! -x "$venv/bin/pip" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv" >/dev/null 2>&1 || {
      # Debian's python3 comes without venv.
      rm -rf "$venv"
      install_packages python3-venv
      python=/usr/bin/python3
      "$python" -m venv "$venv"
    }
  fi
  wanted=$venv/wanted-$(printf '%s' "$*" | tr -c 'A-Za-z0-9.' _)
  [ -e "$wanted" ] || { "$venv/bin/pip" install --quiet "$@" && touch "$wanted"; }
}

# prepare_go PACKAGE NAME: builds a program of the module tests/drivers/go.
prepare_go() {
  need go golang-go
  export GOMODCACHE=$target/drivers/go-modules GOCACHE=$target/drivers/go-cache GOFLAGS=-modcacherw
  (cd "$here/go" && go build -o "$target/drivers/$2" "$1")
}

# prepare_java VERSION SOURCE: compiles a program, beside Connector/J.
prepare_java() {
  need javac default-jdk-headless
  need mvn maven
  java_classes=$target/drivers/java-$1
  if [ ! -e "$java_classes/complete" ]; then
    mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
      -Dartifact="com.mysql:mysql-connector-j:$1" -DoutputDirectory="$java_classes"
    touch "$java_classes/complete"
  fi
  javac -d "$java_classes" "$2"
}
