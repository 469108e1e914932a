"""`python -m tools.kubernetes.addons.policy SERVER PKI`: enforce until ended. The rules stay: nothing opens by its death."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from tools.kubernetes.addons.policy.netfilter import in_place, script
from tools.kubernetes.addons.policy.selection import isolations, pods_of
from tools.kubernetes.watching import Copy, Server

PATHS = {
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
}
CLIENT = "admin"
# Others write rules as well (kube-proxy puts its own first when it starts): look again so often.
CHECK_SECONDS = 5.0
SETTLE_SECONDS = 0.05  # many changes come together


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


def save() -> str:
    return subprocess.run(["iptables-save", "-t", "filter"], capture_output=True, text=True, check=True).stdout


class Enforcer:
    """Writes the rules anew when they would differ from what was written, or when somebody pushed ours aside."""

    def __init__(self, server: Server) -> None:
        self._changed = threading.Event()
        self._copies = {name: Copy(server, path, self._changed.set, say) for name, path in PATHS.items()}
        self._written = ""

    def run(self) -> None:
        for copy in self._copies.values():
            copy.start()
        while True:
            self._changed.wait(CHECK_SECONDS)
            time.sleep(SETTLE_SECONDS)
            self._changed.clear()
            try:
                self._enforce()
            except (subprocess.CalledProcessError, ValueError) as error:
                say(f"the rules could not be written: {error} {getattr(error, 'stderr', '')}")
                self._written = ""

    def _enforce(self) -> None:
        policies, pods, namespaces = (self._copies[name].objects() for name in ("policies", "pods", "namespaces"))
        if policies is None or pods is None or namespaces is None:
            return  # half of the truth would open or close the wrong doors
        labels = {each["metadata"]["name"]: each["metadata"].get("labels", {}) for each in namespaces}
        wanted = isolations(policies, pods_of(pods), labels)
        rules, there = script(wanted, ""), save()
        if rules == self._written and in_place(there):
            return
        text = script(wanted, there)
        subprocess.run(["iptables-restore", "--noflush", "--wait"], input=text, capture_output=True, text=True, check=True)
        self._written = rules
        say(f"{len(policies)} policies isolate {len({each.address for each in wanted})} pods")


def main(arguments: list[str]) -> int:
    server, pki = arguments
    Enforcer(Server(server, Path(pki), CLIENT)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
