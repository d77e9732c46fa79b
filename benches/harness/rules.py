"""What the sender of a request may not do, in the words of each proxy.

The rules say the same everywhere: a path that begins with `/private-N/` is for `owner-N` alone, whom nobody here is, so every rule is
looked at for the path that is measured and none refuses it. Trellis has them in the policies of a service network and of a service, ten
statements each; Envoy in as many policies of its RBAC filter; HAProxy in a hundred `http-request` rules.
"""

import json

STATEMENTS = 10
HAPROXY_RULES = 100


def statements(first):
    """Nine statements that deny, beside which there is one that allows: items of a list in YAML."""
    return "\n        ".join(
        "- "
        + json.dumps(
            {
                "Sid": f"Private{number}",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "vpc-lattice-svcs:Invoke",
                "Resource": f"*/private-{number}/*",
                "Condition": {"StringNotEquals": {"aws:username": f"owner-{number}"}},
            }
        )
        for number in range(first, first + STATEMENTS - 1)
    )


def envoy():
    """As many as Trellis has statements."""

    def policy(number):
        subject = {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "claims"}, {"key": "sub"}],
            "value": {"string_match": {"exact": f"owner-{number}"}},
        }
        return {
            "permissions": [{"url_path": {"path": {"prefix": f"/private-{number}/"}}}],
            "principals": [{"not_id": {"metadata": subject}}],
        }

    return json.dumps({f"private-{number:02}": policy(number) for number in range(2 * STATEMENTS)})


def haproxy():
    return "\n".join(
        f"    http-request deny if {{ path_beg /private-{number}/ }} !{{ var(txn.sub) -m str owner-{number} }}"
        for number in range(HAPROXY_RULES)
    )
