"""A stack on AWS: how to run the doctor in its places, with the tools and rights of whoever asks."""

from __future__ import annotations

from infra.aws.naming import physical
from tools.stack.engine import Engine

EKS = """On AWS the doctor runs in the pods, with your own access to the cluster:

  aws eks update-kubeconfig --name {cluster} --alias {cluster}
  kubectl --context {cluster} --namespace {namespace} exec deployment/gateway   -- python -m app.doctor
  kubectl --context {cluster} --namespace {namespace} exec deployment/worker    -- python -m app.doctor
  kubectl --context {cluster} --namespace {namespace} exec deployment/inference -- python -m app.doctor

docs/doctor.md says what it looks at and what its exit status means. What the account itself lacks: make preflight{option}"""

# Nobody gets into a running task: execute-command is off.
FARGATE = """On Fargate the doctor runs in a task of its own, with settings, rights and network of the part that it looks at:

  part=worker   # or gateway, inference
  network=$(aws ecs describe-services --cluster {cluster} --services $part \\
      --query 'services[0].networkConfiguration' --output json)
  aws ecs run-task --cluster {cluster} --task-definition {cluster}-$part --launch-type FARGATE \\
      --network-configuration "$network" \\
      --overrides '{{"containerOverrides": [{{"name": "'$part'", "command": ["python", "-m", "app.doctor", "--alone"]}}]}}'

What it says is in the part's log group in CloudWatch Logs. docs/doctor.md says what it looks at and what its exit status means.
What the account itself lacks: make preflight{option}"""


def instructions(engine: Engine) -> str:
    settings = engine.settings()
    text = FARGATE if settings.target == "fargate" else EKS
    cluster = settings.eks.cluster_name or physical(engine.stack, longest=100)
    return text.format(cluster=cluster, namespace=settings.cluster.namespace, option=engine.make_option)
