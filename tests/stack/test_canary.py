"""No secret stands in plain on a screen, in a log, in a state or in a preview."""

from __future__ import annotations

import json

from deployment import Deployment


def test_no_secret_is_shown_logged_or_stored_in_plain(deployed: Deployment) -> None:
    secrets = deployed.secrets()
    assert len(secrets) >= 5
    deployed.pulumi("preview", "--diff", "--json")
    deployed.pulumi("preview", "--diff")
    deployed.refresh()
    exported = deployed.engine.read("stack", "export")
    assert '"ciphertext"' in exported
    places = {
        "the screen": "\n".join(deployed.screens),
        "the exported state": exported,
        "the outputs": json.dumps(deployed.outputs(show_secrets=False)),
        **deployed.written(),
    }
    found = [(name, place) for name, value in secrets.items() for place, text in places.items() if value in text]
    assert found == []
    # A search that cannot find is no search: each value does stand where it belongs.
    shown = json.dumps(deployed.outputs(show_secrets=True))
    assert secrets["api_key"] in shown
    assert secrets["generic_webhook_secret"] in shown
