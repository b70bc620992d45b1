"""What scripts/schemathesis does with the requests that it makes up."""

import schemathesis


@schemathesis.hook
def map_body(context, body):
    """Names an endpoint that exists: a submit to any other is a 404 and tells nothing more."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("endpoint"), str):
        return body
    return {**body, "metadata": {**metadata, "endpoint": "echo"}}
