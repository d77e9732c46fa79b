#!/usr/bin/env python3
"""Policies that must be refused, each with the place that the problem must name.

    python3 refused.py [SEED [ROUNDS]] > refused.txt

Each is a random policy of `generate.py` with one thing spoilt. Two lines per policy: the place, and the text, as one line of JSON that
may repeat members, which is why the file is not one of JSON.
"""

import json
import sys

import generate

VARIABLES = ["${aws:usernam}", "a-${aws:PrincipalTag/}-b", "${aws:username, x}", "${", "${}", "*${Port}", "${aws:username, 'x'", "${aws:username", "${a*}"]
BAD_DATES = ["", "now", "2026-13-01", "2026-02-30", "2026-01-01T24:00:00Z", "2026-01-01 00:00:00", "1e9", "2026-1-1", "20260101T000000Z"]
BAD_BASE64 = ["=", "a", "ab", "a b=", "*"]
BAD_NUMBERS = ["", "eighty", "1e3", "0x10", "1.", ".5", "--1", "1,5", " 1", "NaN"]
BAD_NETWORKS = ["", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.256", "010.0.0.1", "10.0.0.0/", "example.com", "10.0.0.0/8/8", "1::2::3"]
BAD_BOOLEANS = ["", "yes", "1", "TRUE ", "tru"]
BAD_ARNS = ["", "arn", "arn:aws:iam::*", "user/bob", "arn:aws:iam:*"]
BAD_OPERATORS = [
    "StringEqual", "stringEquals", "StringEqualsIfexists", "ForAllValue:StringEquals", "ForAnyValue:", "ForAnyValue:ForAllValues:StringEquals",
    "IfExists", "StringEqualsIfExistsIfExists", "NumericNotLessThan", "BoolNot", "IpAddressNot", "NullIfExists", "ForAllValues:Null", "ArnNot", "",
    "DateNotLessThan", "DateLike", "BinaryNotEquals", "BinaryLike", "Date",
]
BAD_KEYS = [
    "aws:SourceIpp", "vpc-lattice-svcs:port", "VPC-Lattice-SVCS:Port", "vpc-lattice-svcs:RequestHeader", "vpc-lattice-svcs:RequestHeader/",
    "aws:PrincipalTag", "aws:PrincipalTag/", "aws:TagKey", "aws:MultiFactorAuthPresentt", "aws:", "vpc-lattice-svc:Port", "", "Port", "vpc-lattice-svcs:requestQueryString/a",
]
BAD_PRINCIPALS = [
    "bob", "", "1111", "1111222233334", "arn:aws:iam::111122223333:role/*", "arn:aws:iam::*:root", "arn:aws:iam::111122223333:user/",
    "arn:aws:iam::111122223333:group/g", "arn:aws:sts::111122223333:assumed-role/r", "arn:aws:sts::111122223333:assumed-role/r/*", "**", "arn:aws:s3:::bucket",
]
BAD_VALUES = [None, {}, {"a": 1}, [["a"]], [None], []]


def condition(statement, place, operator, key, value, at):
    statement["Condition"] = {operator: {key: value}}
    return f"{place}.Condition.{operator}{at}"


def spoil_condition(dice, statement, place):
    """One condition with something that cannot be; gives the place to report."""
    key = "vpc-lattice-svcs:RequestHeader/x"
    prefix, suffix = dice.choice(["", "ForAnyValue:", "ForAllValues:"]), dice.choice(["", "IfExists"])
    kind = dice.randrange(10)
    if kind == 0:
        return condition(statement, place, dice.choice(BAD_OPERATORS), key, "x", "")
    if kind == 1:
        bad = dice.choice(BAD_KEYS)
        return condition(statement, place, f"{prefix}StringLike{suffix}", bad, "x", f".{bad}")
    if kind == 2:
        value = dice.choice(BAD_VALUES)
        inner = isinstance(value, list) and value
        return condition(statement, place, f"{prefix}StringEquals{suffix}", key, value, f".{key}{'[0]' if inner else ''}")
    base, bad = [
        ("NumericLessThan", BAD_NUMBERS), ("NotIpAddress", BAD_NETWORKS), ("Bool", BAD_BOOLEANS), ("ArnLike", BAD_ARNS),
        (dice.choice(["StringEquals", "StringNotLike", "StringEqualsIgnoreCase", "ArnEquals"]), VARIABLES),
        (dice.choice(["DateLessThan", "DateNotEquals"]), BAD_DATES), ("BinaryEquals", BAD_BASE64),
    ][kind - 3]
    value = dice.choice(bad)
    if base == "ArnEquals":
        value = f"arn:aws:iam::111122223333:user/{value}"
    if dice.one_in(2):
        good = {"N": "10" if base == "NumericLessThan" else "10.0.0.1", "B": "true" if base == "Bool" else "YQ==", "D": "2026-01-01"}.get(base[0], "arn:aws:iam::111122223333:user/a")
        return condition(statement, place, f"{prefix}{base}{suffix}", key, [good, value], f".{key}[1]")
    return condition(statement, place, f"{prefix}{base}{suffix}", key, value, f".{key}")


def spoil_element(dice, statement, place):
    kind = dice.randrange(9)
    action = "Action" if "Action" in statement else "NotAction"
    resource = "Resource" if "Resource" in statement else "NotResource"
    principal = "Principal" if "Principal" in statement else "NotPrincipal"
    if kind == 0:
        name = dice.choice(["Resources", "condition", "Actions", "effect", "Comment", "Not"])
        statement[name] = "*"
        return f"{place}.{name}"
    if kind == 1:
        statement["Effect"] = dice.choice(["allow", "DENY", "", "Audit", 1, None, ["Allow"]])
        return f"{place}.Effect"
    if kind == 2:
        statement[principal] = {"AWS": [generate.HOME, dice.choice(BAD_PRINCIPALS)]}
        return f"{place}.{principal}.AWS[1]"
    if kind == 3:
        statement[principal] = {dice.choice(["aws", "AWs", "User"]): generate.HOME}
        return f"{place}.{principal}.{next(iter(statement[principal]))}"
    if kind == 4:
        statement[action] = ["*", dice.choice(["Invoke", "", ":x", "x:", "a:b:c", "vpc-lattice-svcs:${x}", 5, None])]
        return f"{place}.{action}[1]"
    if kind == 5:
        bad = ["/rates", "rates/*", "", "service/svc-1/*", 7, {}, *(f"*/{text}" for text in VARIABLES)]
        statement[resource] = ["*", dice.choice(bad)]
        return f"{place}.{resource}[1]"
    if kind == 6:
        statement.pop(dice.choice(["Effect", action, resource, principal]))
        return place
    if kind == 7:
        statement[dice.choice([f"Not{action}"] if action == "Action" else ["Action"])] = "*"
        return f"{place}.NotAction"
    statement.pop(principal)
    statement |= {"Effect": "Allow", "NotPrincipal": {"AWS": generate.HOME}}
    return f"{place}.NotPrincipal"


def repeated(dice, policy, place, at):
    """The policy as text, with a member written twice."""
    statement = policy["Statement"][at]
    statement["Condition"] = {"Null": {"aws:username": "true"}, "Bool": {"aws:SecureTransport": "true"}}
    text = generate_text(policy)
    body = generate_text(statement)
    twice, where = dice.choice([
        (body[:-1] + ',"Effect":"Allow"}', f"{place}.Effect"),
        (body.replace('"Bool":', '"Null":'), f"{place}.Condition.Null"),
        (body.replace('"Null":', '"Bool":', 1), f"{place}.Condition.Bool"),
        (body.replace('{"aws:username":"true"}', '{"aws:username":"true","aws:user\\u006eame":"false"}'), f"{place}.Condition.Null.aws:username"),
    ])
    return text.replace(body, twice, 1), where


def generate_text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main():
    dice = generate.Dice(int(sys.argv[1]) if len(sys.argv) > 1 else 2026)
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 150):
        policy = {"Version": "2012-10-17", "Statement": [generate.random_statement(dice, True) for _ in range(dice.randint(1, 3))]}
        at = dice.randrange(len(policy["Statement"]))
        place = f"Statement[{at}]"
        statement = policy["Statement"][at]
        kind = dice.randrange(8)
        if kind == 0:
            text, place = repeated(dice, policy, place, at)
        else:
            if kind == 1:
                name, value = dice.choice([("Version", "2012-10-18"), ("Version", 2012), ("Statements", []), ("Id", 5), ("statement", {})])
                policy[name] = value
                place = name
            else:
                place = (spoil_condition if kind < 5 else spoil_element)(dice, statement, place)
            text = generate_text(policy)
        print(place)
        print(text)


if __name__ == "__main__":
    main()
