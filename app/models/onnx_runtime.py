"""ONNX Runtime, with its telemetry off: who needs it imports it from here.

Since 1.29 the wheels for Linux send statistics about process, model and runs to their maker and keep a device identifier under
``~/.cache``, unless this variable is set before the library is loaded (https://github.com/microsoft/onnxruntime/pull/27379);
afterwards they can only be asked to send less. Whoever wants the telemetry sets ``ORT_DISABLE_TELEMETRY=0``.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as onnxruntime
