"""A verifier that takes its time to get ready, for the tests of the service."""

import time

warmed_up = []
prepared = []


def warm_up():
    time.sleep(0.4)
    warmed_up.append(True)


def prepare(*args):
    prepared.append(args)


def seen_alone():
    return len(warmed_up)


def seen(*args):
    return (len(warmed_up), prepared[-1])
