"""A pack that finds nothing and writes every message of the engine's into the file that RECORDING names, each behind its kind
(`r` for a resource, `s` for the stack) and its length, as 9 bytes."""

import os
import signal
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy import EnforcementLevel, ResourceValidationPolicy, StackValidationPolicy
from pulumi_policy.policy import _PolicyAnalyzerServicer

LONGEST_MESSAGE = 400 * 1024 * 1024  # bytes, as in the SDK


class Recorder(_PolicyAnalyzerServicer):
    def __init__(self, file):
        listed = [
            ResourceValidationPolicy(name="resource", description="each resource", validate=lambda _args, _report: None),
            StackValidationPolicy(name="stack", description="the stack", validate=lambda _args, _report: None),
        ]
        super().__init__("recorder", "0.0.1", listed, EnforcementLevel.ADVISORY)
        self._file = file

    def Analyze(self, request, _context):  # noqa: N802
        return self._kept(b"r", request)

    def AnalyzeStack(self, request, _context):  # noqa: N802
        return self._kept(b"s", request)

    def Remediate(self, _request, _context):  # noqa: N802
        return proto.RemediateResponse()

    def _kept(self, kind, request):
        encoded = request.SerializeToString()
        self._file.write(struct.pack(">cQ", kind, len(encoded)) + encoded)
        self._file.flush()
        return proto.AnalyzeResponse()


ended = threading.Event()
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: ended.set())
with Path(os.environ["RECORDING"]).open("ab") as file:
    server = grpc.server(ThreadPoolExecutor(max_workers=1), options=[("grpc.max_receive_message_length", LONGEST_MESSAGE)])
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Recorder(file), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    ended.wait()
    server.stop(0)
