"""Makes requests with Python's requests: reads a JSON list of exchanges, and writes one of what came of them."""

import base64
import json
import sys
from http.cookiejar import DefaultCookiePolicy

import requests


def ask(session, method, url, exchange):
    body = base64.b64decode(exchange["body"]) if exchange["body"] is not None else None
    if body is not None and exchange["chunked"]:
        body = iter([body[: len(body) // 2], body[len(body) // 2 :]])
    headers = {}
    for name, value in exchange["header"]:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return read(session.request(method, url, data=body, headers=headers, allow_redirects=False, stream=True, timeout=60))


def read(response):
    content = response.raw.read(decode_content=False)
    response.close()
    return {
        "status": response.status_code,
        "header": list(response.raw.headers.iteritems()),
        "body": base64.b64encode(content).decode(),
    }


def exchange_all(session, exchanges):
    for exchange in exchanges:
        method, target = exchange["method"], exchange["target"]
        direct = ask(session, method, exchange["direct"] + target, exchange)
        accepted = ask(session, method, exchange["proxied"] + target, exchange)
        correlation_id = {name.lower(): value for name, value in accepted["header"]}["x-correlation-id"]
        raw = session.request(
            "HEAD" if method == "HEAD" else "GET", exchange["raw"].replace("{id}", correlation_id),
            allow_redirects=False, stream=True, timeout=60,
        )
        yield {"direct": direct, "accepted": accepted, "raw": read(raw)}


with requests.Session() as session:
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the two are to be asked for the same
    json.dump(list(exchange_all(session, json.load(sys.stdin))), sys.stdout)
