"""Sessions that run the ONNX graphs of bundles."""

from __future__ import annotations

import onnxruntime

from timbrel.bundles.bundle import Bundle
from timbrel.errors import InputError
from timbrel.machine import within_cores


def open_session(bundle: Bundle, name: str, threads: int) -> onnxruntime.InferenceSession:
    """A bundle's ONNX file, ready to run on the CPU with threads, at most one for each core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = within_cores(threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads take the other core away from whoever else computes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            str(bundle.file(name)), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime has a dozen kinds without a common base
        raise InputError(f"{bundle.file(name)}: cannot be run ({error})") from None
