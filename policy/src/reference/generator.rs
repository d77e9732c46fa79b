//! Policies and requests drawn from pools that make them meet often.

use serde_json::{Value, json};

use crate::world::{
    AUDITOR, CALLERS, CHECKOUT, Call, READER, READER_ROLE, WRITER, network_arn, service_arn,
};

/// Dice that always fall the same way for a seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64)).unwrap()
    }

    pub(super) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, pool: &[&'a T]) -> &'a T {
        pool[self.below(pool.len())]
    }

    /// One text, or a list of some.
    fn some(&mut self, pool: &[&str]) -> Value {
        if self.one_in(2) {
            return json!(self.pick(pool));
        }
        let count = 1 + self.below(3);
        json!((0..count).map(|_| self.pick(pool)).collect::<Vec<_>>())
    }
}

/// Operators with values that fit their type.
pub(super) const OPERATORS: &[(&str, &[&str])] = &[
    (
        "StringEquals",
        &["GET", "web", "a", "443", "vpc-0123456789abcdef0"],
    ),
    (
        "StringNotEquals",
        &["GET", "web", "a", "443", "vpc-0123456789abcdef0"],
    ),
    (
        "StringEqualsIgnoreCase",
        &["get", "WEB", "A", "anonymous", "O-Home"],
    ),
    (
        "StringNotEqualsIgnoreCase",
        &["get", "WEB", "A", "anonymous", "O-Home"],
    ),
    (
        "StringLike",
        &["G*", "w?b", "*/rates/*", "8*", "o-home/*/ou-a/", "a b"],
    ),
    ("StringNotLike", &["G*", "w*", "*/rates/*", "44?", "arn:*"]),
    (
        "ArnEquals",
        &[
            "arn:aws:iam::111122223333:user/*",
            "arn:aws:vpc-lattice:*:*:service/*",
            "arn:aws:iam::*:role/?eader",
        ],
    ),
    (
        "ArnNotEquals",
        &[
            "arn:aws:iam::111122223333:user/*",
            "arn:aws:vpc-lattice:*:*:service/*",
        ],
    ),
    (
        "ArnLike",
        &[
            "arn:*:iam::444455556666:*",
            "arn:aws:iam:*:111122223333:role/reader",
            "arn:aws:vpc-lattice:us-*:*:servicenetwork/*",
        ],
    ),
    (
        "ArnNotLike",
        &[
            "arn:*:iam::444455556666:*",
            "arn:aws:iam::111122223333:role/reader",
        ],
    ),
    ("Bool", &["true"]),
    ("Null", &["true"]),
    ("NumericEquals", &["8080", "3", "443.0"]),
    ("NumericNotEquals", &["8080", "3", "1700000000"]),
    ("NumericLessThan", &["443", "3"]),
    ("NumericLessThanEquals", &["443", "1700000000"]),
    ("NumericGreaterThan", &["443", "1699999999"]),
    ("NumericGreaterThanEquals", &["8080", "0.5"]),
    ("IpAddress", &["10.0.0.0/16", "192.0.2.7"]),
    ("NotIpAddress", &["10.0.0.0/16", "192.0.2.0/24"]),
    (
        "DateEquals",
        &["2023-11-14T22:13:20Z", "1699999999", "2023-11-14"],
    ),
    ("DateNotEquals", &["2023-11-14T22:13:20Z", "1700000001"]),
    ("DateLessThan", &["2023-11-14T22:13:20Z", "2000-02-29"]),
    ("DateLessThanEquals", &["2023-11-14T22:13:19Z"]),
    ("DateGreaterThan", &["1699999999.5", "9999-12-31T23:59:59Z"]),
    ("DateGreaterThanEquals", &["2023-11-14T22:13:20Z", "0"]),
    ("BinaryEquals", &["d2Vi", "R0VU", "w6k=", "NDQz", ""]),
];

/// Texts with variables, which are plain texts in the older version.
const VARIABLES: &[&str] = &[
    "${aws:username}",
    "${aws:PrincipalTag/team}",
    "${aws:PrincipalTag/Team, 'ops'}",
    "${aws:PrincipalTag/none, 'web'}",
    "${vpc-lattice-svcs:RequestHeader/x-team}",
    "${vpc-lattice-svcs:RequestMethod}",
    "${vpc-lattice-svcs:RequestQueryString/type}",
    "${s3:prefix, 'GET'}",
    "*${aws:PrincipalAccount}*",
    "${aws:PrincipalOrgPaths}",
    "w${?}b",
    "${*}",
    "*/${vpc-lattice-svcs:Port}/${aws:SourceIp}",
    "arn:aws:iam::${aws:PrincipalAccount}:user/${aws:username}",
    "arn:aws:iam::*:${aws:PrincipalTag/none, 'role'}/*",
    "${aws:PrincipalArn}",
    "${vpc-lattice-svcs:ServiceArn}",
];

pub(super) const KEYS: &[&str] = &[
    "vpc-lattice-svcs:Port",
    "vpc-lattice-svcs:RequestMethod",
    "vpc-lattice-svcs:RequestPath",
    "vpc-lattice-svcs:RequestHeader/X-Team",
    "vpc-lattice-svcs:RequestHeader/x-number",
    "vpc-lattice-svcs:RequestQueryString/type",
    "vpc-lattice-svcs:RequestQueryString/Type",
    "vpc-lattice-svcs:ServiceNetworkArn",
    "vpc-lattice-svcs:ServiceArn",
    "vpc-lattice-svcs:SourceVpc",
    "vpc-lattice-svcs:SourceVpcOwnerAccount",
    "aws:SourceVpc",
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "aws:PrincipalType",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalTag/team",
    "aws:PrincipalTag/Level",
    "aws:ResourceTag/Env",
    "aws:ResourceTag/none",
    "aws:username",
    "aws:SourceIp",
    "aws:SecureTransport",
    "aws:UserAgent",
    "aws:EpochTime",
    "aws:CurrentTime",
    "s3:prefix",
    "aws:MultiFactorAuthPresent",
];

fn texts() -> Vec<String> {
    let mut pool: Vec<String> = [
        "GET",
        "get",
        "POST",
        "web",
        "WEB",
        "ops",
        "a",
        "A",
        "b c",
        "",
        "3",
        "443",
        "8080",
        "true",
        "prod",
        "checkout",
        "User",
        "AssumedRole",
        "Anonymous",
        "o-home",
        "o-home/r-1/ou-a/",
        "o-home/r-1/ou-b/",
        "vpc-0123456789abcdef0",
        "111122223333",
        "/rates/1",
        "10.0.3.4",
        "curl/8",
        "é",
        "G*",
        "*",
        "w?b",
    ]
    .map(str::to_owned)
    .to_vec();
    pool.extend([
        service_arn(),
        network_arn(),
        CHECKOUT.to_owned(),
        READER_ROLE.to_owned(),
    ]);
    pool
}

fn condition(dice: &mut Dice) -> (String, Value) {
    let (operator, typed) = OPERATORS[dice.below(OPERATORS.len())];
    let (mut set, mut suffix) = ("", "");
    if operator != "Null" {
        set = dice.pick(&["", "", "ForAnyValue:", "ForAllValues:"]);
        suffix = dice.pick(&["", "", "IfExists"]);
    }
    let pool = texts();
    let free: Vec<&str> = pool.iter().map(String::as_str).collect();
    let keys = 1 + usize::from(dice.one_in(4));
    let entries = (0..keys).map(|_| {
        let key = dice.pick(KEYS).to_owned();
        let values = match operator {
            "Bool" | "Null" => match dice.below(4) {
                0 => json!("true"),
                1 => json!(false),
                2 => json!(["false"]),
                _ => json!(true),
            },
            _ if operator.starts_with("String") && dice.one_in(3) => dice.some(VARIABLES),
            // Those that are ARNs in both versions.
            _ if operator.starts_with("Arn") && dice.one_in(3) => dice.some(&VARIABLES[13..15]),
            _ if operator.starts_with("String") && !dice.one_in(3) => dice.some(&free),
            _ if operator.starts_with("Numeric") && dice.one_in(3) => json!([443, 3.5]),
            _ => dice.some(typed),
        };
        (key, values)
    });
    let entries: serde_json::Map<String, Value> = entries.collect();
    (format!("{set}{operator}{suffix}"), Value::Object(entries))
}

fn principal(dice: &mut Dice) -> Value {
    let named = [
        "111122223333",
        "444455556666",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::444455556666:root",
        CHECKOUT,
        AUDITOR,
        READER,
        READER_ROLE,
        WRITER,
        "arn:aws:iam::444455556666:role/writer",
        "arn:aws:iam::111122223333:role/other",
    ];
    match dice.below(5) {
        0 => json!("*"),
        1 => json!({"AWS": "*"}),
        2 => json!(dice.pick(&["111122223333", "444455556666"])),
        _ => json!({"AWS": dice.some(&named)}),
    }
}

fn resources(dice: &mut Dice) -> Value {
    let arn = service_arn();
    let mine = [
        format!("{arn}/*"),
        format!("{arn}/rates/*"),
        format!("{arn}/rates/?"),
        format!("{arn}/"),
        arn.clone(),
        arn.replace("svc-0", "svc-?"),
    ];
    let mut pool: Vec<&str> = mine.iter().map(String::as_str).collect();
    pool.extend([
        "*",
        "*",
        "*/*",
        "*/rates/1",
        "*/rates/*",
        "*/r?tes/*",
        "*/admin/*",
        "*1",
        "arn:aws:vpc-lattice:*:111122223333:service/*",
        "arn:aws:vpc-lattice:*:444455556666:service/*",
        "arn:aws:s3:::bucket/*",
        "arn:*:service/svc-*/rates/1",
        "*é*",
        "*/rates/${vpc-lattice-svcs:RequestQueryString/type, '1'}",
        "*/${aws:PrincipalTag/none, 'rates'}/*",
        "arn:aws:vpc-lattice:*:${aws:PrincipalAccount}:service/*",
        "*/${*}*",
    ]);
    dice.some(&pool)
}

fn statement(dice: &mut Dice, with_principal: bool) -> Value {
    let deny = dice.one_in(4);
    let mut body = serde_json::Map::new();
    body.insert(
        "Effect".to_owned(),
        json!(if deny { "Deny" } else { "Allow" }),
    );
    if with_principal {
        let mut listed = principal(dice);
        let others = deny && dice.one_in(3);
        if others && listed.to_string().contains("\"*\"") {
            listed = json!({"AWS": [CHECKOUT, "111122223333", READER, READER_ROLE]});
        }
        body.insert(
            if others { "NotPrincipal" } else { "Principal" }.to_owned(),
            listed,
        );
    }
    let not = dice.one_in(8);
    let actions: &[&str] = if not {
        &["vpc-lattice-svcs:Connect", "s3:*", "vpc-lattice-svcs:I*"]
    } else {
        &[
            "vpc-lattice-svcs:Invoke",
            "VPC-Lattice-SVCS:invoke",
            "vpc-lattice-svcs:*",
            "*",
            "vpc-*:Inv?ke",
            "vpc-lattice-svcs:Connect",
        ]
    };
    body.insert(
        if not { "NotAction" } else { "Action" }.to_owned(),
        dice.some(actions),
    );
    let not = dice.one_in(8);
    body.insert(
        if not { "NotResource" } else { "Resource" }.to_owned(),
        resources(dice),
    );
    let conditions: serde_json::Map<String, Value> = (0..[0, 0, 1, 1, 2][dice.below(5)])
        .map(|_| condition(dice))
        .collect();
    if !conditions.is_empty() || dice.one_in(8) {
        body.insert("Condition".to_owned(), Value::Object(conditions));
    }
    Value::Object(body)
}

pub(super) fn policy(dice: &mut Dice, with_principal: bool) -> Value {
    let count = 1 + dice.below(4);
    let mut statements: Vec<Value> = (0..count)
        .map(|_| statement(dice, with_principal))
        .collect();
    if dice.one_in(2) {
        let mut all = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        if with_principal {
            all["Principal"] = json!("*");
        }
        statements.push(all);
    }
    let version = dice.pick(&["2012-10-17", "2008-10-17"]);
    json!({"Version": version, "Statement": statements})
}

pub(super) fn call(dice: &mut Dice) -> Call {
    let lines = [
        "GET /rates/1",
        "GET /rates/12?type=a",
        "POST /rates/",
        "GET /",
        "GET /admin/x?type=a&type=b+c",
        "get /RATES/1?type=%41",
        "GET /é?Type=3",
        "DELETE /rates/1?type",
        "GET /rates/1?type=&x=1",
        "PUT /a/b/rates/1?type=a&type=a",
    ];
    let mut call = Call::by(dice.pick(&CALLERS)).line(dice.pick(&lines));
    if dice.one_in(2) {
        call = call.header("x-team", dice.pick(&["web", "ops", "WEB", ""]));
    }
    if dice.one_in(4) {
        call = call.header("x-team", "web");
    }
    if dice.one_in(3) {
        call = call.header(
            "x-number",
            dice.pick(&["3", "3.50", "-1", "true", "10.0.9.9", "x"]),
        );
    }
    if dice.one_in(3) {
        call = call.header("user-agent", "curl/8");
    }
    call.port = [80, 443, 8080][dice.below(3)];
    call.secure_transport = dice.one_in(2);
    call.source_ip = [[10, 0, 3, 4], [192, 0, 2, 7], [192, 0, 2, 8]][dice.below(3)].into();
    call.seconds = 1_699_999_998 + dice.next() % 4;
    call
}

/// Calls with and without every kind of key.
pub(super) fn typical_calls() -> Vec<Call> {
    vec![
        Call::by(CHECKOUT)
            .line("GET /rates/1?type=a&type=b")
            .header("x-team", "web")
            .header("x-number", "3")
            .header("user-agent", "a b"),
        Call {
            secure_transport: true,
            port: 443,
            ..Call::default().line("POST /")
        },
        Call::by(READER)
            .line("GET /x?type=a&Type=GET")
            .header("x-number", "true"),
    ]
}
