#!/usr/bin/env python3
"""A Hub on the loopback with one model, "org/small". Prints its address, and serves until its standard input ends. The second file of
weights is not sent before the file GO exists.  Usage: hub.py GO"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "store"))
import hub_server  # noqa: E402


def hold(request):
    if request.cdn and "00002-of" in request.path:
        while not os.path.exists(sys.argv[1]):
            time.sleep(0.01)
    return False


hub = hub_server.Hub({"org/small": hub_server.Model(hub_server.small_model())})
hub.fault = hold
print(hub.endpoint, flush=True)
sys.stdin.read()
open(sys.argv[1], "w").close()
hub.close()
