"""Where the pods of a cluster's stack go, how many cores they count, and how one replaces another."""

from __future__ import annotations

from rendering import environment, registered, settings_of

from infra.kubernetes import names

GPU = {"inference": {"device": "cuda"}}
PROCESSES = ("gateway", "worker", "inference")


async def test_a_rolling_update_adds_before_it_takes_away_except_where_a_gpu_would_have_to_be_spare() -> None:
    on_cpu, on_gpu = (await registered(settings_of())), await registered(settings_of(GPU))
    added = {"maxSurge": 1, "maxUnavailable": 0}
    for part in PROCESSES:
        assert on_cpu.find("Deployment", part)["spec"]["strategy"]["rollingUpdate"] == added
    assert on_gpu.find("Deployment", "inference")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert on_gpu.find("Deployment", "gateway")["spec"]["strategy"]["rollingUpdate"] == added


async def test_inference_on_gpus_goes_to_their_nodes_alone_and_nothing_else_goes_there() -> None:
    config = {**GPU, "resources": {"gpus": 2}, "storage": {"modelAccess": "ReadWriteMany"}}
    pods = (await registered(settings_of(config))).pods()
    spec = pods["inference"]["spec"]
    resources = spec["containers"][0]["resources"]
    assert resources["limits"][names.GPU_RESOURCE] == resources["requests"][names.GPU_RESOURCE] == "2"
    assert spec["tolerations"] == [{"key": names.GPU_TAINT_KEY, "operator": "Exists", "effect": "NoSchedule"}]
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": [{"key": names.GPU_NODE_LABEL, "operator": "In", "values": ["true"]}]}]
    assert names.GPU_RESOURCE not in repr(spec["initContainers"])
    for part, pod in pods.items():
        if part != "inference":
            assert "nvidia" not in repr(pod), part


async def test_on_the_cpu_no_pod_asks_for_a_gpu() -> None:
    assert "nvidia" not in repr((await registered(settings_of())).objects)


async def test_what_shares_a_volume_that_one_node_alone_can_have_stays_on_that_node() -> None:
    pods = (await registered(settings_of(GPU))).pods()
    for part in ("model", "inference"):
        (term,) = pods[part]["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        # The term matches the pod's own labels: the first one could be placed nowhere otherwise.
        assert term["labelSelector"]["matchLabels"].items() <= pods[part]["metadata"]["labels"].items()
        assert "nodeAffinity" in pods[part]["spec"]["affinity"], "the volume must lie where a GPU is"
        assert "topologySpreadConstraints" not in pods[part]["spec"]
    apart = (await registered(settings_of({"storage": {"modelAccess": "ReadWriteMany"}}))).pods()
    assert "affinity" not in apart["inference"]["spec"]
    for part in PROCESSES:
        keys = [item["topologyKey"] for item in apart[part]["spec"]["topologySpreadConstraints"]]
        assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


async def test_inference_counts_the_cores_that_it_may_use_not_those_of_its_node() -> None:
    half = {"inference": {"cpu": "500m", "cpuLimit": "1500m", "memory": "1Gi"}}
    assert environment((await registered(settings_of({"resources": half}))).pods()["inference"])["INFERENCE_THREADS"] == "2"
    given = settings_of({"inference": {"threads": 3}})
    assert environment((await registered(given)).pods()["inference"])["INFERENCE_THREADS"] == "3"
