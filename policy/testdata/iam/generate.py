#!/usr/bin/env python3
"""Random IAM policies and requests, with the decisions that AWS's documents prescribe.

    python3 generate.py [SEED [CASES]] > decisions.jsonl

An evaluator of its own: it shares nothing with the Rust code but the little world of `policy/src/world.rs`, which is described
below once more. It is written from the IAM user guide ("Policy evaluation logic", "Condition operators", "Multivalued context
keys", "Policy elements: NotPrincipal", "Global condition context keys") and the VPC Lattice user guide ("Auth policies"), in the
most literal way, with Python's own numbers, addresses and JSON.

The first line of the output holds the requests. Each further line is a case: the policies of the network, the service and the
caller, and one letter per request. `.` allowed; `N`, `S`, `I` denied by a statement of the network, service or identity policy;
`n`, `s`, `i` not allowed by it.
"""

import base64
import ipaddress
import json
import random
import re
import sys
from datetime import datetime, timezone
from decimal import Decimal

HOME, ABROAD = "111122223333", "444455556666"
# The ids are what the gateway derives for this world; the test that replays this compares them first.
SERVICE = f"arn:aws:vpc-lattice:us-west-2:{HOME}:service/svc-0734e07dcc0c91e5f"
NETWORK = f"arn:aws:vpc-lattice:us-west-2:{HOME}:servicenetwork/sn-0df784e7eca606aba"

CALLERS = {
    "anonymous": None,
    f"arn:aws:iam::{HOME}:user/checkout": {
        "account": HOME, "type": "User", "principal": f"arn:aws:iam::{HOME}:user/checkout", "username": "checkout",
        "tags": {"team": "web", "level": "3"}, "org": True,
    },
    f"arn:aws:iam::{ABROAD}:user/auditor": {
        "account": ABROAD, "type": "User", "principal": f"arn:aws:iam::{ABROAD}:user/auditor", "username": "auditor",
        "tags": {}, "org": False,
    },
    f"arn:aws:sts::{HOME}:assumed-role/reader/night": {
        "account": HOME, "type": "AssumedRole", "principal": f"arn:aws:iam::{HOME}:role/reader", "username": None,
        "tags": {"team": "ops"}, "org": True,
    },
    f"arn:aws:sts::{ABROAD}:assumed-role/writer/day": {
        "account": ABROAD, "type": "AssumedRole", "principal": f"arn:aws:iam::{ABROAD}:role/writer", "username": None,
        "tags": {}, "org": False,
    },
}
SERVICE_TAGS = {"env": "prod", "tier": "1"}
# Keys of other services, and global ones about what no request of this service has.
NOWHERE = ["s3:prefix", "aws:MultiFactorAuthPresent", "aws:RequestTag/team", "aws:SourceAccount"]
ORG = "o-home"
ORG_PATHS = ["o-home/r-1/ou-a/", "o-home/r-1/ou-b/"]


# ---- What a request says --------------------------------------------------------------------------------------------------------


def percent_decoded(text):
    raw = re.sub(
        rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text.replace("+", " ").encode()
    )
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def query_of(request):
    found = {}
    for pair in (request["query"] or "").split("&"):
        if pair:
            name, _, value = pair.partition("=")
            found.setdefault(percent_decoded(name), []).append(percent_decoded(value))
    return found


def values_of(key, request):
    """All values of a condition key in the request context; an empty list when the key is absent."""
    caller = CALLERS[request["caller"]]
    name, _, rest = key.partition("/")
    lower = name.lower()
    http = request["action"] == "Invoke"

    if key in NOWHERE:
        return []
    if name == "vpc-lattice-svcs:Port":
        return [str(request["port"])]
    if name == "vpc-lattice-svcs:ServiceArn":
        return [SERVICE]
    if name == "vpc-lattice-svcs:ServiceNetworkArn":
        return [NETWORK]
    if name == "vpc-lattice-svcs:SourceVpc" or lower == "aws:sourcevpc":
        return [request["vpc"]]
    if name == "vpc-lattice-svcs:SourceVpcOwnerAccount":
        return [request["owner"]]
    if lower == "aws:principaltype":
        return [caller["type"] if caller else "Anonymous"]
    if lower == "aws:principalaccount":
        # "For anonymous requests, the request context returns anonymous."
        return [caller["account"] if caller else "anonymous"]
    if lower == "aws:principalarn":
        return [caller["principal"]] if caller else []
    if lower == "aws:username":
        return [caller["username"]] if caller and caller["username"] else []
    if lower == "aws:principalorgid":
        return [ORG] if caller and caller["org"] else []
    if lower == "aws:principalorgpaths":
        return ORG_PATHS if caller and caller["org"] else []
    if lower == "aws:principaltag":
        return [caller["tags"][rest.lower()]] if caller and rest.lower() in caller["tags"] else []
    if lower == "aws:resourcetag":
        return [SERVICE_TAGS[rest.lower()]] if rest.lower() in SERVICE_TAGS else []
    # A connection that is passed through shows nothing else.
    if not http:
        return []
    if name == "vpc-lattice-svcs:RequestMethod":
        return [request["method"]]
    if name == "vpc-lattice-svcs:RequestPath":
        return [request["path"]]
    if name == "vpc-lattice-svcs:RequestQueryString":
        return query_of(request).get(rest, [])
    if name == "vpc-lattice-svcs:RequestHeader" or lower in ("aws:useragent", "aws:referer"):
        wanted = {"aws:useragent": "user-agent", "aws:referer": "referer"}.get(lower, rest.lower())
        lines = [value for header, value in request["headers"] if header == wanted]
        return [("; " if wanted == "cookie" else ",").join(lines)] if lines else []
    if lower == "aws:sourceip":
        return [request["ip"]]
    if lower == "aws:securetransport":
        return ["true" if request["tls"] else "false"]
    if lower == "aws:epochtime":
        return [str(request["time"])]
    if lower == "aws:currenttime":
        return [datetime.fromtimestamp(request["time"], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")]
    raise KeyError(key)


# ---- How values compare ---------------------------------------------------------------------------------------------------------


# A text of a policy is a list of pairs: a character, and whether it is written, so that it may be a wildcard, or stands for itself.

ESCAPED = {"*", "?", "$"}
VARIABLE = re.compile(r"\s*([^,}]*?)\s*(?:,\s*'((?:[^']|'')*)'\s*)?}")


def written(text):
    return [(c, True) for c in text]


def expand(text, version, request):
    """Puts values in the place of policy variables; None if one has no value."""
    if version != "2012-10-17":
        return written(text)
    before, *rest = text.split("${")
    pieces = written(before)
    for after in rest:
        match = VARIABLE.match(after)
        name, default = match[1], match[2]
        if name in ESCAPED:
            pieces.append((name, False))
        else:
            # "Policy variables with no value": "the value is effectively null. There is no equal or like value."
            values = values_of(name, request)
            if len(values) != 1:
                if default is None:
                    return None
                values = [default.replace("''", "'")]
            pieces += [(c, False) for c in values[0]]
        pieces += written(after[match.end():])
    return pieces


def plain(pieces):
    return "".join(c for c, _ in pieces)


def wildcard(pieces, text):
    parts = [".*" if piece == ("*", True) else "." if piece == ("?", True) else re.escape(piece[0]) for piece in pieces]
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def arn_matches(pieces, text):
    if pieces == written("*"):
        pieces = written("*:*:*:*:*:*")
    wanted = [[]]
    for piece in pieces:
        if piece[0] == ":" and len(wanted) < 6:
            wanted.append([])
        else:
            wanted[-1].append(piece)
    found = text.split(":", 5)
    return len(found) == 6 and len(wanted) == 6 and all(map(wildcard, wanted, found))


def moment(text):
    """Seconds since 1970, exactly; None for what is neither a date of the W3C's forms nor a number of seconds."""
    if re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,9})?", text):
        return Decimal(text)
    match = re.fullmatch(
        r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2})(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?",
        text, re.ASCII | re.IGNORECASE,
    )
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        at = datetime(int(year), int(month), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=timezone.utc)
    except ValueError:
        return None
    offset = 0
    if zone and zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        if hours > 23 or minutes > 59:
            return None
        offset = (hours * 60 + minutes) * (60 if zone[0] == "+" else -60)
    return Decimal(int((at - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds()) - offset) + Decimal(fraction or 0)


def dated(compare):
    def test(wanted, found):
        left, right = moment(found), moment(plain(wanted))
        return left is not None and right is not None and compare(left, right)

    return test


def number(text):
    return Decimal(text) if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text) else None


def address(text):
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def within(network, text):
    found = address(text)
    if found is None:
        return False
    wanted = ipaddress.ip_network(plain(network), strict=False)
    mapped = getattr(wanted.network_address, "ipv4_mapped", None)
    if mapped and wanted.prefixlen >= 96:
        wanted = ipaddress.ip_network((mapped, wanted.prefixlen - 96), strict=False)
    return found in wanted


def numeric(compare):
    def test(wanted, found):
        left, right = number(found), number(plain(wanted))
        return left is not None and right is not None and compare(left, right)

    return test


# Positive operators; the second member of each pair is the name of the negation, if there is one.
TESTS = {
    ("StringEquals", "StringNotEquals"): lambda wanted, found: plain(wanted) == found,
    ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"): lambda wanted, found: plain(wanted).lower() == found.lower(),
    ("StringLike", "StringNotLike"): wildcard,
    ("ArnEquals", "ArnNotEquals"): arn_matches,
    ("ArnLike", "ArnNotLike"): arn_matches,
    ("Bool", None): lambda wanted, found: plain(wanted).lower() == found.lower() and found.lower() in ("true", "false"),
    ("NumericEquals", "NumericNotEquals"): numeric(lambda left, right: left == right),
    ("NumericLessThan", None): numeric(lambda left, right: left < right),
    ("NumericLessThanEquals", None): numeric(lambda left, right: left <= right),
    ("NumericGreaterThan", None): numeric(lambda left, right: left > right),
    ("NumericGreaterThanEquals", None): numeric(lambda left, right: left >= right),
    ("IpAddress", "NotIpAddress"): within,
    ("DateEquals", "DateNotEquals"): dated(lambda left, right: left == right),
    ("DateLessThan", None): dated(lambda left, right: left < right),
    ("DateLessThanEquals", None): dated(lambda left, right: left <= right),
    ("DateGreaterThan", None): dated(lambda left, right: left > right),
    ("DateGreaterThanEquals", None): dated(lambda left, right: left >= right),
    ("BinaryEquals", None): lambda wanted, found: base64.b64decode(plain(wanted)) == found.encode(),
}
POSITIVE = {names[0]: test for names, test in TESTS.items()}
NEGATIVE = {names[1]: test for names, test in TESTS.items() if names[1]}


def listed(value):
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else json.dumps(item) for item in items]


def condition_holds(operator, key, wanted, request, version):
    found, wanted = values_of(key, request), listed(wanted)
    if operator == "Null":
        return any((value.lower() == "true") == (not found) for value in wanted)
    quantifier, _, base = operator.rpartition(":")
    if_exists = base.endswith("IfExists")
    base = base.removesuffix("IfExists")
    negative = base in NEGATIVE
    test = NEGATIVE[base] if negative else POSITIVE[base]
    expanded = [expand(text, version, request) for text in wanted]
    wanted = [text for text in expanded if text is not None]

    if not found:
        if if_exists:
            return True  # "If the key is not present, evaluate the condition element as true."
        if quantifier == "ForAllValues":
            return True  # "Also returns true if there are no context keys in the request."
        if quantifier == "ForAnyValue":
            return False  # "For no matching context key, returns false."
        return negative  # A missing key is not equal to anything.

    def single(value):
        equal = any(test(item, value) for item in wanted)  # several values: OR; negated: NOR
        return not equal if negative else equal

    if quantifier == "ForAllValues":
        return all(map(single, found))
    if quantifier == "ForAnyValue":
        return any(map(single, found))
    # An operator without quantifier: some value equals; the negation is exactly the contrary.
    equal = any(test(item, value) for item in wanted for value in found)
    return not equal if negative else equal


# ---- What a policy says ---------------------------------------------------------------------------------------------------------


def principal_texts(element):
    if isinstance(element, dict):
        return [text for kind, texts in element.items() if kind == "AWS" for text in listed(texts)]
    return listed(element)


def principal_applies(statement, request):
    caller = CALLERS[request["caller"]]
    if caller:
        account = {caller["account"], f"arn:aws:iam::{caller['account']}:root"}
        chain = [account, {caller["principal"]}]
        if caller["type"] == "AssumedRole":
            chain.append({request["caller"]})
    if "Principal" in statement:
        texts = set(principal_texts(statement["Principal"]))
        return "*" in texts or (caller is not None and any(texts & names for names in chain))
    if "NotPrincipal" in statement:
        # The account is validated first, then the user, or the role and then its session: all must be excepted.
        texts = set(principal_texts(statement["NotPrincipal"]))
        return caller is None or not all(texts & names for names in chain)
    return True


def fits(pattern, text):
    return pattern is not None and wildcard(pattern, text)


def applies(statement, request, version):
    action = f"vpc-lattice-svcs:{request['action']}".lower()
    resource = SERVICE + (request["path"] if request["action"] == "Invoke" else "")
    def action_pattern(text):
        return written(text.lower())

    def resource_pattern(text):
        return expand(text, version, request)

    for name, text, pattern in (("Action", action, action_pattern), ("Resource", resource, resource_pattern)):
        if name in statement:
            if not any(fits(pattern(item), text) for item in listed(statement[name])):
                return False
        elif any(fits(pattern(item), text) for item in listed(statement[f"Not{name}"])):
            return False
    return principal_applies(statement, request) and all(
        condition_holds(operator, key, wanted, request, version)
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def says(policy, request):
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    version = policy.get("Version")
    effects = {statement["Effect"] for statement in statements if applies(statement, request, version)}
    return "deny" if "Deny" in effects else "allow" if "Allow" in effects else "nothing"


def decide(case, request):
    """One letter. A deny anywhere wins; then every counted layer must allow, in the order network, service, identity."""
    counted = [(letter, case[name]) for letter, name in (("N", "network"), ("S", "service")) if case[name] is not None]
    if counted and CALLERS[request["caller"]]:
        counted.append(("I", case["identity"]))
    said = [(letter, says(policy, request)) for letter, policy in counted]
    for letter, what in said:
        if what == "deny":
            return letter
    for letter, what in said:
        if what == "nothing":
            return letter.lower()
    return "."


# ---- Dice -----------------------------------------------------------------------------------------------------------------------

KEYS = [
    "vpc-lattice-svcs:Port", "vpc-lattice-svcs:RequestMethod", "vpc-lattice-svcs:RequestPath",
    "vpc-lattice-svcs:RequestHeader/X-Team", "vpc-lattice-svcs:RequestHeader/x-number", "vpc-lattice-svcs:RequestHeader/X-Flag",
    "vpc-lattice-svcs:RequestHeader/x-address", "vpc-lattice-svcs:RequestHeader/x-arn", "vpc-lattice-svcs:RequestHeader/cookie",
    "vpc-lattice-svcs:RequestQueryString/type", "vpc-lattice-svcs:RequestQueryString/Type",
    "vpc-lattice-svcs:RequestQueryString/n", "vpc-lattice-svcs:ServiceNetworkArn", "vpc-lattice-svcs:ServiceArn",
    "vpc-lattice-svcs:SourceVpc", "vpc-lattice-svcs:SourceVpcOwnerAccount", "aws:SourceVpc", "aws:PrincipalArn", "AWS:principalarn",
    "aws:PrincipalAccount", "aws:PrincipalType", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalTag/team",
    "aws:PrincipalTag/LEVEL", "aws:PrincipalTag/none", "aws:ResourceTag/Env", "aws:resourcetag/tier", "aws:ResourceTag/none",
    "aws:username", "aws:SourceIp", "aws:sourceip", "aws:SecureTransport", "aws:UserAgent", "aws:EpochTime",
    "aws:CurrentTime", "aws:currenttime", "vpc-lattice-svcs:RequestHeader/x-date", "aws:Referer", *NOWHERE,
]
STRINGS = [
    "", "GET", "get", "POST", "web", "WEB", "ops", "a", "A", "b c", "É", "é", "3", "443", "8080", "true", "TRUE", "prod", "checkout",
    "User", "AssumedRole", "Anonymous", "anonymous", ORG, *ORG_PATHS, "vpc-0123456789abcdef0", "vpc-0fedcba9876543210", HOME, ABROAD,
    "/", "/rates/1", "10.0.3.4", "curl/8", "*", "?", "w?b", "a=1; b=2", SERVICE, NETWORK, *CALLERS, f"arn:aws:iam::{HOME}:role/reader",
]
PATTERNS = [
    "*", "**", "?", "???", "", "G*", "*T", "w?b", "*e*b*", "?*", "*?", "/*/1", "/r?tes/*", "*/", "8*0", "44?", "o-home/*/ou-?/", "é", "?",
    "arn:*", "*:user/*", "*role/r*", "vpc-*", "1111*", "*s", "a*", "curl/?", "*=1; *", "[a]*", "\\*", "a.c",
]
ARNS = [
    "*", "*:*:*:*:*:*", "arn:aws:iam::*:user/*", f"arn:aws:iam::{HOME}:user/checkout", "arn:aws:iam::*:role/?eader",
    "arn:aws:vpc-lattice:*:*:service/*", "arn:aws:vpc-lattice:us-*:1111????3333:servicenetwork/*", f"arn:*:iam::{ABROAD}:*",
    "arn:aws:iam:*:111122223333:role/reader", "arn:aws:s3:::a:b:c", "arn:aws:s3:::*", "arn:aws:s3:*:*:a*c", "a*:*:*:*:*:*",
    "arn:aws:iam:us-west-2:*:user/*", "ARN:aws:iam::*:user/*",
]
NUMBERS = [
    "3", "03", "3.0", "3.5", "-1", "-0", "0", "0.5", "443", "8080", "00443", "1700000000", "1699999999.5", "99999999999999999999999999",
    "100000000000000000000000000.00000000000000001", "-7.25",
]
NETWORKS = [
    "10.0.0.0/16", "10.0.3.4", "10.0.3.4/32", "10.0.9.9/8", "192.0.2.0/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::1",
    "::ffff:10.0.0.0/104", "::ffff:10.0.3.4", "2001:DB8:0:0::/64", "::1/128",
]
# With variables, which are plain text in the older version.
VARIABLES = [
    "${aws:username}", "${aws:PrincipalTag/team}", "${aws:principaltag/TEAM, 'ops'}", "${vpc-lattice-svcs:RequestHeader/x-team}",
    "${vpc-lattice-svcs:RequestMethod}", "w${aws:PrincipalTag/none, 'e'}b", "${vpc-lattice-svcs:RequestQueryString/type}", "${s3:prefix, 'web'}",
    "${aws:PrincipalTag/none,'it''s'}", "*${aws:username}", "/rates/${vpc-lattice-svcs:RequestQueryString/n}", "${*}", "w${?}b", "a${*}*", "${$}",
    "${aws:PrincipalArn}", "${aws:PrincipalOrgPaths}", "${aws:PrincipalAccount}", "${aws:SecureTransport}", "${vpc-lattice-svcs:Port}",
]
DATES = [
    "2023-11-14T22:13:20Z", "2023-11-14T22:13:19Z", "2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20.5Z", "2023-11-14", "2023-11", "1700000000",
    "1699999999", "1699999999.5", "2000-02-29T00:00Z", "2023-11-14T17:13:20-0500", "2023-11-14T22:13:20", "0", "-1", "9999-12-31T23:59:59Z",
]
BINARIES = [base64.b64encode(text.encode()).decode() for text in ["web", "", "GET", "a", "é", "443", "checkout", "*"]]
BOOLS = ["true", "false", "True", "FALSE", True, False]
RESOURCES = [
    "*", "*/*", "*/rates/1", "*/rates/*", "*/r?tes/*", "*/admin/*", "*1", "*é*", "*/", f"{SERVICE}/*", f"{SERVICE}/rates/*", f"{SERVICE}/rates/?",
    f"{SERVICE}/", SERVICE, f"{SERVICE}*", f"{SERVICE}?", "arn:aws:vpc-lattice:*:111122223333:service/*", "arn:aws:vpc-lattice:*:444455556666:service/*",
    "arn:aws:s3:::bucket/*", "arn:*:service/*/rates/1", "arn:aws:vpc-lattice:us-west-?:*", "arn:aws:*", "?rn:*", "*//*", "*%2F*", f"{SERVICE}/RATES/*",
    "*/rates/${vpc-lattice-svcs:RequestQueryString/n, '1'}", f"{SERVICE}/${{aws:username}}/*", "*/${aws:PrincipalTag/team, 'rates'}/*", "*/${*}",
    "*${vpc-lattice-svcs:ServiceArn}/rates/*",
]
ACTIONS = [
    "vpc-lattice-svcs:Invoke", "VPC-Lattice-SVCS:invoke", "vpc-lattice-svcs:*", "*", "vpc-*:Inv?ke", "*:Connect", "vpc-lattice-svcs:Connect",
    "vpc-lattice-svcs:?nvoke*", "s3:*", "vpc-lattice:*", "vpc-lattice-svcs:C*", "vpc-lattice-svcs:**",
]
PRINCIPALS = [
    HOME, ABROAD, f"arn:aws:iam::{HOME}:root", f"arn:aws:iam::{ABROAD}:root", *list(CALLERS)[1:], f"arn:aws:iam::{HOME}:role/reader",
    f"arn:aws:iam::{ABROAD}:role/writer", f"arn:aws:iam::{HOME}:role/other", f"arn:aws:iam::{HOME}:user/Checkout",
    f"arn:aws:sts::{HOME}:assumed-role/reader/day",
]


class Dice(random.Random):
    def one_in(self, bound):
        return self.randrange(bound) == 0

    def some(self, pool, most=3):
        """One value, or a list."""
        if self.one_in(2):
            return self.choice(pool)
        return [self.choice(pool) for _ in range(self.randint(1, most))]


def random_values(dice, base):
    if base in ("Bool", "Null"):
        return dice.some(BOOLS, 2)
    if base.startswith("Date"):
        return 1700000000 if dice.one_in(8) else dice.some(DATES)
    if base.startswith("Binary"):
        return dice.some(BINARIES)
    if base.startswith("Numeric"):
        return dice.choice([443, 3.5, -1, [80, "443"], 8080]) if dice.one_in(5) else dice.some(NUMBERS)
    if "Ip" in base:
        return dice.some(NETWORKS)
    if base.startswith("Arn"):
        return dice.some(ARNS + [f"arn:aws:iam::{HOME}:user/${{aws:username}}", "arn:aws:iam::${aws:PrincipalAccount}:*/${*}*"])
    variables = VARIABLES if dice.one_in(2) else []
    if "Like" in base:
        return dice.some(PATTERNS + STRINGS + variables)
    return 443 if dice.one_in(20) else dice.some(STRINGS + variables)


def random_condition(dice):
    base = dice.choice([*POSITIVE, *NEGATIVE, "Null"])
    operator = base
    if base != "Null":
        operator = dice.choice(["", "", "ForAnyValue:", "ForAllValues:"]) + base + dice.choice(["", "", "IfExists"])
    keys = {dice.choice(KEYS): random_values(dice, base) for _ in range(1 + dice.one_in(4))}
    return operator, keys


def random_principal(dice, deny):
    name = "Principal"
    if deny and dice.one_in(3):
        name = "NotPrincipal"
        chosen = dice.sample(PRINCIPALS, dice.randint(1, 5))
        if dice.one_in(2):
            chosen += [HOME, f"arn:aws:iam::{HOME}:role/reader"]
        return name, {"AWS": chosen}
    match dice.randrange(7):
        case 0 | 1:
            return name, "*"
        case 2:
            return name, {"AWS": "*"}
        case 3:
            return name, dice.choice([HOME, ABROAD])
        case 4:
            return name, {"AWS": dice.some(PRINCIPALS), "Service": "ec2.amazonaws.com"}
        case _:
            return name, {"AWS": dice.some(PRINCIPALS)}


def random_statement(dice, with_principal):
    deny = dice.one_in(4)
    statement = {"Effect": "Deny" if deny else "Allow"}
    if with_principal:
        name, element = random_principal(dice, deny)
        statement[name] = element
    if dice.one_in(8):
        statement["NotAction"] = dice.some(["vpc-lattice-svcs:Connect", "s3:*", "vpc-lattice-svcs:i*", "vpc-lattice-svcs:C?nnect"])
    else:
        statement["Action"] = dice.some(ACTIONS)
    statement["NotResource" if dice.one_in(8) else "Resource"] = dice.some(RESOURCES)
    conditions = dict(random_condition(dice) for _ in range(dice.choice([0, 0, 1, 1, 1, 2, 3])))
    if conditions or dice.one_in(8):
        statement["Condition"] = conditions
    return statement


def random_policy(dice, with_principal):
    statements = [random_statement(dice, with_principal) for _ in range(dice.randint(1, 4))]
    if dice.one_in(2):
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        statements.append({**everything, **({"Principal": "*"} if with_principal else {})})
    policy = {"Statement": statements[0] if len(statements) == 1 else statements}
    version = dice.choice(["2012-10-17", "2008-10-17", None])
    return {"Version": version, **policy} if version else policy


def random_request(dice):
    request = {
        "action": "Invoke",
        "caller": dice.choice(list(CALLERS)),
        "method": dice.choice(["GET", "GET", "POST", "get", "DELETE", "PURGE"]),
        "path": dice.choice(["/", "/rates/1", "/rates/1", "/rates/12", "/RATES/1", "/admin/x", "/é", "/a%2Fb", "//rates/1", "/rates/", "/*", "/a/b/rates/1", "/checkout/1", "/web/1"]),
        "query": dice.choice([None, None, "", "type=a", "type=a&type=b", "Type=3&n=03", "type", "type=&x=1", "type=%41&n=x", "t%79pe=b+c", "n=-7.25&n=443", "type=%C3%A9"]),
        "headers": [],
        "port": dice.choice([80, 443, 8080]),
        "ip": dice.choice(["10.0.3.4", "10.0.3.4", "192.0.2.7", "198.51.100.1", "2001:db8::1", "::1"]),
        "tls": dice.one_in(2),
        "time": 1_699_999_998 + dice.randrange(4),
        "vpc": dice.choice(["vpc-0123456789abcdef0", "vpc-0123456789abcdef0", "vpc-0fedcba9876543210"]),
        "owner": dice.choice([HOME, ABROAD]),
    }
    headers = {
        "x-team": ["web", "WEB", "ops", "", "a", "b c", "é"],
        "x-number": [*NUMBERS, "x", "3.", ".5", "1e3", " ", "0x10", "3,5", "--1", "٣", "9" * 80],
        "x-flag": ["true", "TRUE", "false", "False", "1", "yes", "", "tru"],
        "x-address": ["10.0.3.4", "10.0.3.04", "::ffff:10.0.3.4", "2001:DB8::1", "10.0.3.4/32", "10.0.3", "x", "::1"],
        "x-arn": ["arn:aws:s3:::a:b:c", "arn:aws:iam::111122223333:user/checkout", "arn:aws:s3:::", "arn:aws:s3", "ARN:aws:iam::1:user/x", "*"],
        "x-date": [*DATES, "now", "", "2023-13-01", "2023-11-14 22:13:20Z", "2023-11-14T24:00:00Z", "2023-11-14T22:13:60Z", "2023", "1e9"],
        "referer": ["web", "a"],
        "user-agent": ["curl/8", "", "Anonymous"],
        "cookie": ["a=1", "b=2"],
    }
    for name, values in headers.items():
        if dice.one_in(2):
            request["headers"].append([name, dice.choice(values)])
            if dice.one_in(5):
                request["headers"].append([name, dice.choice(values)])
    if dice.one_in(12):
        request |= {"action": "Connect", "caller": "anonymous"}
    return request


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 2026
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    dice = Dice(seed)
    requests = [random_request(dice) for _ in range(48)]

    def show(value):
        print(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    show({"seed": seed, "service": SERVICE, "network": NETWORK, "requests": requests})
    for _ in range(cases):
        case = {
            "network": None if dice.one_in(3) else random_policy(dice, True),
            "service": None if dice.one_in(3) else random_policy(dice, True),
            "identity": random_policy(dice, False),
        }
        if case["network"] is None and case["service"] is None:
            case["service"] = random_policy(dice, True)
        show({**case, "decisions": "".join(decide(case, request) for request in requests)})


if __name__ == "__main__":
    main()
