"""Results of test suites: from each runner's own format to one line a test, and the comparison.

    results.py junit FILE            pytest's and others' JUnit XML
    results.py go FILE               go test -v
    results.py tap FILE              prove -v --merge
    results.py minitest FILE         minitest --verbose
    results.py unittest FILE         Python's unittest -v
    results.py libtest FILE          cargo test
    results.py compare SUITE DIRECT PROXY EXCEPTIONS TABLE SECONDS first|second DIFFERENT

A result is a line "STATUS<tab>test<tab>message"; STATUS is pass, fail or skip. The comparison of a
first run with differences writes their names into the file DIFFERENT and exits with 1; in the second run only those
can differ.
"""

import fnmatch
import os
import re
import sys
import xml.etree.ElementTree as ElementTree


def emit(status, name, message=""):
    line = " ".join(message.split())
    print(f"{status}\t{' '.join(name.split())}\t{line[:2000]}")


def junit(path):
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        status, message = "pass", ""
        for child in case:
            if child.tag in ("failure", "error"):
                status = "fail"
                text = child.text or ""
                message = (child.get("message") or text) + " … " + text[-600:]
                break
            if child.tag == "skipped":
                status, message = "skip", child.get("message") or ""
        emit(status, name, message)


def go(path):
    output = []
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            found = re.match(r"\s*--- (PASS|FAIL|SKIP): (\S+)", line)
            if found:
                emit(found[1].lower(), found[2], " ".join(output[-12:]))
                output = []
            else:
                output.append(line)
            if line.startswith("panic: "):
                emit("fail", "panic", line)


def tap(path):
    script, output, plan, seen = "?", [], None, 0

    def close():
        if plan is not None and seen != plan:
            emit("fail", f"{script}:plan", f"{seen} of {plan} tests ran: {' '.join(output[-5:])}")

    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            start = re.match(r"(\S+\.t) \.\.+", line)
            if start:
                close()
                script, output, plan, seen = start[1], [], None, 0
                line = line[start.end():].lstrip()
            if re.match(r"1\.\.0\b|.*skipped:", line) and "ok " not in line:
                emit("skip", f"{script}:all", line)
                continue
            total = re.match(r"1\.\.(\d+)", line)
            if total:
                plan = int(total[1])
                continue
            found = re.match(r"(not )?ok (\d+)\s*(?:- )?(.*)", line)
            if not found:
                output.append(line)
                continue
            seen += 1
            skipped = re.search(r"# (skip|todo)", found[3], re.IGNORECASE)
            status = "skip" if skipped else "fail" if found[1] else "pass"
            emit(status, f"{script}:{found[2]}", " ".join([found[3], *output[-5:]]))
            output = []
    close()


def minitest(path):
    status = {".": "pass", "F": "fail", "E": "fail", "S": "skip"}
    with open(path, encoding="utf-8", errors="replace") as lines:
        text = lines.read()
    for name, end in re.findall(r"^(\S+#\S.*?) = [\d.]+ s = ([.FES])$", text, re.MULTILINE):
        told = text.rfind(f"\n{name} [") if end in "FE" else -1
        if end in "FE" and told < 0:
            told = text.find(f"\n{name}:\n")
        emit(status[end], name, text[told : told + 900] if told >= 0 else "")


def unittest(path):
    statuses = {"ok": "pass", "FAIL": "fail", "ERROR": "fail", "skipped": "skip", "expected failure": "pass"}
    name = None
    with open(path, encoding="utf-8", errors="replace") as lines:
        text = lines.read()
    for line in text.splitlines():
        start = re.match(r"([\w.]+(?: \([\w.]+\))?) \.\.\. ", line)
        if start:
            name, line = start[1], line[start.end():]
        end = re.search(r"(ok|FAIL|ERROR|skipped|expected failure)(?: ['\"].*)?$", line)
        if name and end:
            why = re.search(rf"^(?:FAIL|ERROR): {re.escape(name.split()[0])}\b.*\n", text, re.MULTILINE)
            emit(statuses[end[1]], name, text[why.start() :][:1500] if why else "")
            name = None


def libtest(path):
    status = {"ok": "pass", "FAILED": "fail", "ignored": "skip"}
    with open(path, encoding="utf-8", errors="replace") as lines:
        text = lines.read()
    for name, end in re.findall(r"^test (\S.*?) \.\.\. (?:.*?)(ok|FAILED|ignored)", text, re.MULTILINE):
        told = text.find(f"---- {name} stdout ----")
        emit(status[end], name, text[told : told + 900] if told >= 0 else "")


def read(path):
    results = {}
    with open(os.path.join(path, "results"), encoding="utf-8", errors="replace") as lines:
        for line in lines:
            status, name, message = (line.rstrip("\n").split("\t") + ["", ""])[:3]
            key, count = name, 1
            while key in results:
                count += 1
                key = f"{name} ({count})"
            results[key] = (status, message)
    return results


def exceptions_of(suite, path):
    """(pattern, reason) of each line "SUITE | TEST | REASON"; SUITE and TEST are shell patterns."""
    found = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                of, test, reason = (part.strip() for part in line.split(" | ", 2))
                if fnmatch.fnmatchcase(suite, of):
                    found.append((test, reason))
    return found


def compare(suite, direct_dir, proxy_dir, exceptions_file, table, seconds, run, different_file):
    direct, proxy = read(direct_dir), read(proxy_dir)
    exceptions = exceptions_of(suite, exceptions_file)
    suspects = None
    if run == "second":
        with open(different_file, encoding="utf-8") as lines:
            suspects = set(lines.read().splitlines())
    same, excepted, different = 0, 0, []
    for name in sorted(direct.keys() | proxy.keys()):
        (before, _), (after, _) = (side.get(name, ("missing", "")) for side in (direct, proxy))
        if before == after or suspects is not None and name not in suspects:
            same += 1
        elif any(fnmatch.fnmatchcase(name, pattern) for pattern, _ in exceptions):
            excepted += 1
        else:
            different.append(name)
    if different and suspects is None:
        with open(different_file, "w", encoding="utf-8") as out:
            out.write("\n".join(different))
        print(f"{suite}: {len(different)} tests differ; running once more")
        sys.exit(1)
    for name in different:
        (before, told), (after, message) = (side.get(name, ("missing", "")) for side in (direct, proxy))
        print(f"DIFFERENT {name}: direct {before}, through Geogate {after}")
        print(f"    {(message if after != 'pass' else told)[:700]}")
    failed = len(different)
    if not direct:
        failed += 1
        print("no test ran")
    passing = sum(status == "pass" for status, _ in direct.values())
    with open(table, "a", encoding="utf-8") as out:
        print(f"{suite:22} {len(direct):6} {passing:6} {same:6} {failed:9} {excepted:9} {seconds:>8}", file=out)
    print(f"{suite}: {len(direct)} tests, {passing} pass directly, {same} the same, {failed} different, "
          f"{excepted} excepted, {seconds} s")
    print(f"{same} passed, {failed} failed, {excepted} skipped")


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    formats = {"junit": junit, "go": go, "tap": tap, "minitest": minitest, "unittest": unittest, "libtest": libtest}
    {**formats, "compare": compare}[command](*arguments)
