"""Loaded by every Python that has this folder on its path: a clock that is off by `CLOCK_OFF_S` seconds.

It is the clock of `time` that is changed, before anything else is imported. That of the kernel, and with it the times
of files, stays as it is: a node whose clock differs from its file server's.
"""

import os
import time

OFF_S = int(os.environ.get("CLOCK_OFF_S", "0"))
if OFF_S:
    _time, _time_ns, _gmtime, _localtime = time.time, time.time_ns, time.gmtime, time.localtime
    time.time = lambda: _time() + OFF_S
    time.time_ns = lambda: _time_ns() + OFF_S * 10**9
    time.gmtime = lambda seconds=None: _gmtime(time.time() if seconds is None else seconds)
    time.localtime = lambda seconds=None: _localtime(time.time() if seconds is None else seconds)
