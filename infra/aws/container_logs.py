"""What Fluent Bit of the CloudWatch add-on does with the lines that containers write: the pods of the stack's own namespace go
into a log group of theirs, their metrics into another, and everything else of the cluster into a third.

A line that is a document of the Embedded Metric Format (``app/telemetry/emf.py``) is sent as it is, as the whole event, with
the header that makes CloudWatch read metrics out of it (``log_format json/emf``, ``log_key``: docs.fluentbit.io, its output
cloudwatch_logs). Other lines are sent with the pod's name and labels round them.

The text takes the place of the add-on's ``application-log.conf``; the variables in it are those of its DaemonSet
(github.com/aws-observability/helm-charts, charts/amazon-cloudwatch-observability, values.yaml and fluent-bit-daemonset.yaml).
"""

from __future__ import annotations

from collections.abc import Sequence

# A value of the chart's `containerLogs.fluentBit.config.extraFiles`: files that are not named there keep the add-on's text.
FILE = "application-log.conf"
# Kubelet's name for a container's file: <pod>_<namespace>_<container>-<id>.log, none of which holds an underscore otherwise.
CONTAINERS = "/var/log/containers"
STATE = "/var/fluent-bit/state"
# The add-on's dataplane-log.conf reads these.
OF_THE_DATA_PLANE = (f"{CONTAINERS}/aws-node*", f"{CONTAINERS}/kube-proxy*")
# The line begins as an object and holds the key of the format. Within a string of JSON a quote is escaped, so that what people
# write cannot pass for it. One word, since Fluent Bit splits a rule at blanks.
IS_METRICS = r'^\{(.*[,{]\s*)?"_aws"\s*:\s*\{'

Section = tuple[str, Sequence[tuple[str, str]]]


def application_logs(*, namespace: str, pods: str, metrics: str, others: str) -> str:
    """The configuration. ``pods``, ``metrics``, ``others``: names of log groups that are there already. Pure."""
    ours = f"{CONTAINERS}/*_{namespace}_*.log"
    sections: list[Section] = [
        _tail("assistant", ours, "assistant.db"),
        _tail("application", f"{CONTAINERS}/*.log", "application.db", excluded=(ours, *OF_THE_DATA_PLANE)),
        (
            "FILTER",
            (
                ("Name", "rewrite_tag"),
                ("Match", "assistant.*"),
                ("Rule", f"$log {IS_METRICS} metrics.$TAG false"),
                ("Emitter_Name", "metrics"),
                ("Emitter_Storage.type", "filesystem"),
                ("Emitter_Mem_Buf_Limit", "10M"),
            ),
        ),
        _described("assistant"),
        _described("application"),
        _output("metrics.*", metrics, (("log_key", "log"), ("log_format", "json/emf"))),
        _output("assistant.*", pods),
        _output("application.*", others),
    ]
    return "\n".join(_text(section) for section in sections)


def _tail(tag: str, path: str, database: str, excluded: Sequence[str] = ()) -> Section:
    return (
        "INPUT",
        (
            ("Name", "tail"),
            ("Tag", f"{tag}.*"),
            ("Path", path),
            *((("Exclude_Path", ", ".join(excluded)),) if excluded else ()),
            # The runtime cuts lines at 16 KiB: a document of metrics is put together again before it is looked at.
            ("multiline.parser", "cri"),
            ("DB", f"{STATE}/{database}"),
            ("Mem_Buf_Limit", "50MB"),
            ("Skip_Long_Lines", "On"),
            ("Refresh_Interval", "10"),
            ("Rotate_Wait", "30"),
            ("storage.type", "filesystem"),
            # A pod that lived for seconds has written all it will before its file is found.
            ("Read_from_Head", "On"),
        ),
    )


def _described(tag: str) -> Section:
    return (
        "FILTER",
        (
            ("Name", "kubernetes"),
            ("Match", f"{tag}.*"),
            ("Kube_URL", "https://kubernetes.default.svc:443"),
            ("Kube_Tag_Prefix", f"{tag}{CONTAINERS.replace('/', '.')}."),
            ("Merge_Log", "On"),
            ("Merge_Log_Key", "log_processed"),
            ("Keep_Log", "Off"),
            ("K8S-Logging.Parser", "Off"),
            ("K8S-Logging.Exclude", "Off"),
            ("Labels", "Off"),
            ("Annotations", "Off"),
            ("Use_Kubelet", "On"),
            ("Kubelet_Port", "10250"),
            ("Buffer_Size", "0"),
        ),
    )


def _output(match: str, group: str, more: Sequence[tuple[str, str]] = ()) -> Section:
    return (
        "OUTPUT",
        (
            ("Name", "cloudwatch_logs"),
            ("Match", match),
            ("region", "${AWS_REGION}"),
            ("log_group_name", group),
            ("log_stream_prefix", "${HOST_NAME}-"),
            # The stack makes it, encrypted and with an end; one that Fluent Bit made would have neither.
            ("auto_create_group", "false"),
            ("extra_user_agent", "container-insights"),
            *more,
        ),
    )


def _text(section: Section) -> str:
    name, entries = section
    lines = [f"  {key:<24}{value}" for key, value in entries]
    return "\n".join([f"[{name}]", *lines, ""])
