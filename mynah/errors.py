"""Errors meant for the reader of a terminal or a pod's log: one line, no traceback."""


class MynahError(Exception):
    """A failure that a person can act on. The message names the thing, what is wrong, what to do."""

    exit_code = 1


class UsageError(MynahError):
    """A wrong flag, environment variable or bot file: nothing was started."""

    exit_code = 2


class Stopped(MynahError):
    """A person stopped it, and it can be gone on with. The exit code is that of Ctrl-C."""

    exit_code = 130
