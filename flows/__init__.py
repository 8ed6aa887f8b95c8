"""Composition: what runs when. The work itself is in ``tasks``.

Prefect reads its settings when it is first imported, so what a fresh machine needs is set here, before any
module of this package imports it. What the user has set stays.
"""

import os

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# A slow machine takes longer than Prefect's 20 seconds to start the server of a run.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_CLI_PROMPT", "false")
