"""The policy SDK's own analyzer with policies that do nothing. STOCK_POLICIES: how many read resources, how many the stack."""

import os

from pulumi_policy import PolicyPack, ResourceValidationPolicy, StackValidationPolicy

of_resources, of_stack = (int(number) for number in os.environ["STOCK_POLICIES"].split())
PolicyPack(
    "stock",
    [
        *(
            ResourceValidationPolicy(name=f"resource-{number}", description="nothing", validate=lambda _args, _report: None)
            for number in range(of_resources)
        ),
        *(
            StackValidationPolicy(name=f"stack-{number}", description="nothing", validate=lambda _args, _report: None)
            for number in range(of_stack)
        ),
    ],
)
