"""Functions of librosa are compiled before several processes would."""

from __future__ import annotations

import subprocess
import sys

from timbrel.measures.compiled import COMPILED_MODULES

LOADED_BY_MEASURES = """
import sys
from pathlib import Path
import numpy as np
from timbrel.evaluation.programs import bends, kits, melodic
from timbrel.measures.correlation import log_cqt
from timbrel.notes import measures, spectrum

log_cqt(np.zeros(16_000, np.float32))
import librosa
librosa.pyin, librosa.onset.onset_detect, librosa.feature.melspectrogram
for name, module in sorted(sys.modules.items()):
    path = getattr(module, "__file__", None)
    if name.startswith("librosa.") and path and "guvectorize(" in Path(path).read_text():
        print(name)
"""


def test_all_modules_with_functions_that_are_compiled_at_import_are_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED_BY_MEASURES],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == set(COMPILED_MODULES)
