"""The control plane and the nodes as the EKS target registers them."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme

from policies.values import UNKNOWN

EVERYWHERE = "0.0.0.0/0"
METADATA = {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}
TEMPLATE = {"id": UNKNOWN, "version": UNKNOWN}

THEME = Theme(
    good={
        "cluster": Good(
            type="aws:eks/cluster:Cluster",
            properties={
                "version": "1.35",
                "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
                "enabledClusterLogTypes": ["api", "audit", "authenticator", "controllerManager", "scheduler"],
                "encryptionConfig": {"provider": {"keyArn": UNKNOWN}, "resources": ["secrets"]},
                "vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24"], "subnetIds": [UNKNOWN]},
            },
        ),
        "template": Good(type="aws:ec2/launchTemplate:LaunchTemplate", properties={"metadataOptions": METADATA}),
        "nodes": Good(
            type="aws:eks/nodeGroup:NodeGroup",
            properties={
                "version": "1.35",
                "launchTemplate": TEMPLATE,
                "remoteAccess": {"ec2SshKey": "operators", "sourceSecurityGroupIds": ["sg-0a1b"]},
            },
            refers={"launchTemplate": ("template",)},
        ),
        "scaled": Good(
            type="aws:autoscaling/group:Group",
            properties={"launchTemplate": TEMPLATE},
            refers={"launchTemplate": ("template",)},
        ),
        "mixed": Good(
            type="aws:autoscaling/group:Group",
            properties={
                "mixedInstancesPolicy": {"launchTemplate": {"launchTemplateSpecification": {"launchTemplateId": UNKNOWN}}}
            },
            refers={"mixedInstancesPolicy": ("template",)},
        ),
        "older": Good(type="aws:autoscaling/group:Group", properties={"launchConfiguration": "assistant-prod-nodes"}),
        "instance": Good(type="aws:ec2/instance:Instance", properties={"metadataOptions": METADATA}),
        "from-template": Good(
            type="aws:ec2/instance:Instance",
            properties={"launchTemplate": TEMPLATE},
            refers={"launchTemplate": ("template",)},
        ),
    },
    cases={
        "R15": Cases(
            failing=(
                Bad("nodes", {"remoteAccess/sourceSecurityGroupIds": None}, "port 22 of the nodes is open to the internet"),
                Bad("nodes", {"remoteAccess/sourceSecurityGroupIds": []}, "no sourceSecurityGroupIds"),
            ),
            unknown=("nodes", "remoteAccess/sourceSecurityGroupIds"),
            malformed=("nodes", "remoteAccess"),
        ),
        "R16": Cases(
            failing=(
                Bad("cluster", {"accessConfig": None}, "accessConfig is missing"),
                Bad("cluster", {"accessConfig/authenticationMode": "API_AND_CONFIG_MAP"}, "is API_AND_CONFIG_MAP; it is API"),
                Bad("cluster", {"accessConfig/authenticationMode": None}, "authenticationMode is not set"),
                Bad("cluster", {"accessConfig/bootstrapClusterCreatorAdminPermissions": True}, "Permissions is not false"),
                Bad("cluster", {"accessConfig/bootstrapClusterCreatorAdminPermissions": None}, "Permissions is not false"),
            ),
            unknown=("cluster", "accessConfig/authenticationMode"),
            malformed=("cluster", "accessConfig"),
        ),
        "R20": Cases(
            failing=(
                Bad("template", {"metadataOptions": None}, "metadataOptions is missing"),
                Bad("template", {"metadataOptions/httpTokens": "optional"}, "httpTokens is optional; it is required"),
                Bad("template", {"metadataOptions/httpTokens": None}, "httpTokens is not set"),
                Bad("template", {"metadataOptions/httpPutResponseHopLimit": 2}, "httpPutResponseHopLimit is 2; it is 1"),
                Bad("template", {"metadataOptions/httpPutResponseHopLimit": None}, "httpPutResponseHopLimit is not set"),
                Bad("instance", {"metadataOptions": None}, "metadataOptions is missing"),
                Bad("instance", {"metadataOptions/httpTokens": "optional"}, "httpTokens is optional"),
                Bad("nodes", {"launchTemplate": None}, "launchTemplate is missing: AWS starts such nodes with"),
                Bad("scaled", {"launchTemplate": None}, "mixedInstancesPolicy is missing"),
            ),
            unknown=("template", "metadataOptions/httpTokens"),
            malformed=("template", "metadataOptions"),
        ),
        "R25": Cases(
            failing=(
                Bad("cluster", {"version": "1.33"}, "version is 1.33, whose standard support on EKS ended on 2026-07-29"),
                Bad("cluster", {"version": "1.20"}, "version is 1.20; supported on EKS are 1.34, 1.35, 1.36"),
                Bad("cluster", {"version": None}, "version is not set"),
                Bad("nodes", {"version": "1.33"}, "version is 1.33"),
                Bad("cluster", {"version": "newest"}, "a version such as 1.35 was expected"),
            ),
            unknown=("cluster", "version"),
            malformed=("nodes", "version"),
        ),
        "R45": Cases(
            failing=(
                Bad("cluster", {"enabledClusterLogTypes": None}, "lacks api, audit, authenticator, controllerManager, sch"),
                *(
                    Bad("cluster", {f"enabledClusterLogTypes/{number}": None}, f"enabledClusterLogTypes lacks {kind}")
                    for number, kind in enumerate(("api", "audit", "authenticator", "controllerManager", "scheduler"))
                ),
            ),
            unknown=("cluster", "enabledClusterLogTypes"),
            malformed=("cluster", "enabledClusterLogTypes"),
        ),
        "R54": Cases(
            failing=(
                Bad("cluster", {"vpcConfig": None}, "vpcConfig is missing"),
                Bad("cluster", {"vpcConfig/publicAccessCidrs": [EVERYWHERE]}, "publicAccessCidrs is 0.0.0.0/0"),
                Bad("cluster", {"vpcConfig/publicAccessCidrs": ["::/0"]}, "publicAccessCidrs is ::/0"),
                Bad("cluster", {"vpcConfig/publicAccessCidrs": ["0.0.0.0/1", "128.0.0.0/1"]}, "0.0.0.0/1, 128.0.0.0/1"),
                Bad("cluster", {"vpcConfig/publicAccessCidrs": None}, "the world reaches the API server"),
                Bad("cluster", {"vpcConfig/publicAccessCidrs": []}, "the world reaches the API server"),
                Bad("cluster", {"vpcConfig/publicAccessCidrs/0": "office"}, "networks such as 203.0.113.0/24 was expected"),
                Bad(
                    "cluster",
                    {"vpcConfig/endpointPublicAccess": None, "vpcConfig/publicAccessCidrs": None},
                    "the world reaches the API server",
                ),
            ),
            unknown=("cluster", "vpcConfig/publicAccessCidrs"),
            malformed=("cluster", "vpcConfig/publicAccessCidrs"),
        ),
        "R66": Cases(
            failing=(
                Bad("cluster", {"encryptionConfig": None}, "encryptionConfig is missing"),
                Bad("cluster", {"encryptionConfig/resources": []}, "encryptionConfig.resources lacks secrets"),
                Bad("cluster", {"encryptionConfig/resources": None}, "encryptionConfig.resources lacks secrets"),
                Bad("cluster", {"encryptionConfig/provider": None}, "keyArn is not set"),
                Bad("cluster", {"encryptionConfig/provider/keyArn": None}, "keyArn is not set"),
            ),
            unknown=("cluster", "encryptionConfig"),
            malformed=("cluster", "encryptionConfig"),
        ),
    },
)
