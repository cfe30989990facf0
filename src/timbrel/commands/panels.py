"""The groups of options in the help, in the order in which most commands have them."""

from __future__ import annotations

SOUND = "Sound"
DATA = "Data"
TRAINING = "Training"
PAGE = "Page"
NETWORK = "Network"
OUTPUT = "Output"
EXPERT = "Expert"
