"""`python -m tools.kubernetes.volumes SERVER PKI ROOT`: provisions claims dynamically, a folder of this machine for each.

The controller manager has a host-path provisioner of its own, but makes folders with mode 0750 (whatever its umask), into which
pods that are not root cannot write. This one follows the contract of external provisioners: the controller manager annotates a
claim with the class's provisioner, binds the volume that is then made for it, and leaves a released volume to who made it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from tools.cache import remove
from tools.kubernetes.watching import Copy, Object, Server

NAME = "assistant/volumes"
CERTIFICATE = "volumes"
CLAIM_ANNOTATION = "volume.kubernetes.io/storage-provisioner"
VOLUME_ANNOTATION = "pv.kubernetes.io/provisioned-by"
VOLUMES = "/api/v1/persistentvolumes"
PATHS = {
    "claims": "/api/v1/persistentvolumeclaims",
    "volumes": VOLUMES,
    "classes": "/apis/storage.k8s.io/v1/storageclasses",
}
RETRY_SECONDS = 5.0


def volume_name(claim: Object) -> str:
    """As other provisioners name it; the claim's identity makes a second attempt find the first one's work."""
    return f"pvc-{claim['metadata']['uid']}"


def unserved(claims: Iterable[Object], volumes: Iterable[Object]) -> list[Object]:
    """Claims that wait for a volume of ours."""
    there = {volume["metadata"]["name"] for volume in volumes}
    return [
        claim
        for claim in claims
        if claim["metadata"].get("annotations", {}).get(CLAIM_ANNOTATION) == NAME
        and "deletionTimestamp" not in claim["metadata"]
        and not claim["spec"].get("volumeName")
        and claim["spec"].get("volumeMode", "Filesystem") == "Filesystem"
        and volume_name(claim) not in there
    ]


def released(volumes: Iterable[Object]) -> list[Object]:
    """Volumes of ours whose claim is gone, and which are to go with it."""
    return [
        volume
        for volume in volumes
        if volume["metadata"].get("annotations", {}).get(VOLUME_ANNOTATION) == NAME
        and volume.get("status", {}).get("phase") in ("Released", "Failed")
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    ]


def volume_for(claim: Object, reclaim_policy: str, root: Path) -> Object:
    """The PersistentVolume, bound to this claim and no other of its name."""
    metadata, spec = claim["metadata"], claim["spec"]
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name(claim), "annotations": {VOLUME_ANNOTATION: NAME}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "storageClassName": spec.get("storageClassName", ""),
            "persistentVolumeReclaimPolicy": reclaim_policy,
            "claimRef": {**reference, **{key: metadata[key] for key in ("namespace", "name", "uid", "resourceVersion")}},
            "hostPath": {"path": str(root / volume_name(claim)), "type": "Directory"},
        },
    }


class Provisioner:
    """Reconciles claims, volumes and folders at each change."""

    def __init__(self, server: Server, root: Path) -> None:
        self._server, self._root = server, root
        self._changed = threading.Event()
        self._copies = {name: Copy(server, path, self._changed.set, say) for name, path in PATHS.items()}

    def run(self) -> None:
        for copy in self._copies.values():
            copy.start()
        while True:
            self._changed.wait(RETRY_SECONDS)
            self._changed.clear()
            try:
                self._reconcile()
            except OSError as error:
                say(str(error))

    def _reconcile(self) -> None:
        claims, volumes, classes = (self._copies[name].objects() for name in ("claims", "volumes", "classes"))
        if claims is None or volumes is None or classes is None:
            return
        policies = {each["metadata"]["name"]: each.get("reclaimPolicy", "Delete") for each in classes}
        for claim in unserved(claims, volumes):
            folder = self._root / volume_name(claim)
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)  # for any user in a pod; on this machine the folder above keeps everybody out
            policy = policies.get(claim["spec"].get("storageClassName", ""), "Delete")
            self._server.send("POST", VOLUMES, volume_for(claim, policy, self._root))
            say(f"made {folder.name} for {claim['metadata']['namespace']}/{claim['metadata']['name']}")
        for volume in released(volumes):
            name = volume["metadata"]["name"]
            folder = self._root / Path(name).name  # by the name alone: whatever path an object holds is not ours to remove
            if folder.exists():
                remove(folder)
            self._server.send("DELETE", f"{VOLUMES}/{name}", {"preconditions": {"uid": volume["metadata"]["uid"]}})
            say(f"removed {name}")


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


def main(arguments: list[str]) -> int:
    server, pki, root = arguments
    Provisioner(Server(server, Path(pki), CERTIFICATE), Path(root)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
