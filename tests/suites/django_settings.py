"""Settings of Django's own tests: two databases on the server of the environment."""

import os


def _database(name):
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": os.environ["SUITE_HOST"],
        "PORT": os.environ["SUITE_PORT"],
        "USER": os.environ["SUITE_USER"],
        "PASSWORD": os.environ["SUITE_PASSWORD"],
        "NAME": name,
        "TEST": {"CHARSET": "utf8mb4"},
    }


DATABASES = {"default": _database("django"), "other": _database("django_other")}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "django_runner.Runner"
