"""What a process of its own is given to do: functions that end, and some that do not."""

import os
import time

import cv2
import numpy as np

from models.errors import BadWeights
from models.redaction import Redactor
from services.eyes import Eyes
from serving.sight import Sight
from tests.faults import FACE, WITNESS, Finder

STUCK = 200
"""The lightest pictures: the redactor never comes back from them."""


def echo():
    return lambda *arguments: (os.getpid(), arguments)


def naps():
    def nap(seconds):
        time.sleep(seconds)
        return os.getpid()

    return nap


def ends():
    return lambda code: os._exit(code) if code else os.getpid()


def refuses():
    raise BadWeights("privacy.safetensors is missing")


def dies():
    os._exit(3)


def sight():
    cv2.setNumThreads(1)
    finder = Finder()

    def act(pixels):
        if np.mean(pixels) > STUCK:
            time.sleep(3600)
        return [FACE]

    finder.act = act
    return Sight(Eyes(Redactor([finder], cover=["face"]), {}), WITNESS)
