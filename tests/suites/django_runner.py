"""Django's test runner with one line a test for tests/suites/results.py."""

import os
import unittest

from django.test.runner import DiscoverRunner


class Result(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.lines = open(os.environ["SUITE_RESULTS"], "w", encoding="utf-8")
        self.failing = set()

    def note(self, status, test, message=""):
        print(status, test.id(), " ".join(message.split())[-2000:], sep="\t", file=self.lines, flush=True)

    def fault(self, test, error, status="fail"):
        if test.id() not in self.failing:
            self.failing.add(test.id())
            self.note(status, test, self._exc_info_to_string(error, test))

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note("pass", test)

    def addError(self, test, error):
        super().addError(test, error)
        self.fault(test, error)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.fault(test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.fault(test, error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note("skip", test, reason)

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.note("pass", test, "expected failure")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note("fail", test, "unexpected success")


class Runner(DiscoverRunner):
    def get_resultclass(self):
        return Result
