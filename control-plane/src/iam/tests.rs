//! Users, roles and policies: what is answered, what is refused, and what the data plane gets.

use std::sync::Arc;

use trellis_model::{
    config::Config,
    load::{Inputs, Source, load},
};
use trellis_policy::compile;

use super::Iam;
use crate::{
    lattice::tests::{ONE, TWO, World},
    neighbor::tests::{Visitor, assert_refused, told},
    query::Parameters,
};

const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const DENY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;
/// A statement without a resource.
const BARE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*"}]}"#;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}"#;

fn parameters(pairs: &[(&str, &str)]) -> Parameters {
    let encode = super::given::percent_encoded;
    let text: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    Parameters::parse(text.join("&").as_bytes()).unwrap()
}

fn ok(world: &World, operation: &'static str, pairs: &[(&str, &str)]) -> String {
    let answer = Visitor::of(ONE).ask::<Iam>(world, operation, &parameters(pairs));
    answer.unwrap_or_else(|refusal| panic!("{operation}: {:?}", told::<Iam>(&refusal)))
}

fn refused(world: &World, operation: &'static str, pairs: &[(&str, &str)], code: &str) {
    let answer = Visitor::of(ONE).ask::<Iam>(world, operation, &parameters(pairs));
    assert_refused::<Iam>(answer, code);
}

/// Performs calls line by line, `DeleteUser UserName=ann -> DeleteConflict`; those without a code go well. Documents stand for themselves
/// under their names here.
fn script(world: &World, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (call, code) = line.split_once(" -> ").unwrap_or((line, ""));
        let mut words = call.split(' ');
        let name = words.next().unwrap();
        let mut known = <Iam as crate::neighbor::Api>::OPERATIONS.iter();
        let operation = known.find(|known| **known == name).unwrap();
        let pairs: Vec<(&str, &str)> = words
            .map(|word| word.split_once('=').unwrap())
            .map(|(name, value)| match value {
                "ALLOW" => (name, ALLOW),
                "DENY" => (name, DENY),
                "TRUST" => (name, TRUST),
                "BARE" => (name, BARE),
                value => (name, value),
            })
            .collect();
        if code.is_empty() {
            ok(world, operation, &pairs);
        } else {
            refused(world, operation, &pairs, code);
        }
    }
}

/// The texts of all elements of a name.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(&open).skip(1);
    parts
        .map(|part| part.split(&close).next().unwrap().to_owned())
        .collect()
}

struct Environment;

impl Inputs for Environment {
    fn read(&self, _: &std::path::Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        Some("the-secret-of-a-file".to_owned())
    }
}

fn files() -> Arc<Config> {
    let text = r#"
account: "111122223333"
region: us-west-2
principals:
  users: [{name: filed, policies: [{Version: "2012-10-17", Statement: {Effect: Allow, Action: "*", Resource: "*"}}], accessKeys: [{id: AKIAFILED, secret: {env: S}}]}]
  roles: [{name: filed, trustPolicy: {Version: "2012-10-17", Statement: {Effect: Allow, Principal: {AWS: "111122223333"}, Action: "sts:AssumeRole"}}}]
"#;
    let source = Source {
        path: "principals.yaml".into(),
        text: Ok(text.to_owned()),
    };
    Arc::new(load(&[source], &Environment).unwrap().config)
}

#[test]
fn a_user_lives_from_creation_to_deletion() {
    let world = World::new();
    let created = ok(
        &world,
        "CreateUser",
        &[
            ("UserName", "ann"),
            ("Tags.member.1.Key", "team"),
            ("Tags.member.1.Value", "web"),
        ],
    );
    assert_eq!(
        texts(&created, "Arn"),
        ["arn:aws:iam::111122223333:user/ann"]
    );
    assert!(texts(&created, "UserId")[0].starts_with("AIDA"));
    let shown = ok(&world, "GetUser", &[("UserName", "ann")]);
    assert_eq!(texts(&shown, "Key"), ["team"]);
    script(&world, "CreateUser UserName=ANN -> EntityAlreadyExists");
    let key = ok(&world, "CreateAccessKey", &[("UserName", "ann")]);
    let id = &texts(&key, "AccessKeyId")[0];
    script(
        &world,
        &format!(
            "DeleteUser UserName=ann -> DeleteConflict
             DeleteAccessKey UserName=ann AccessKeyId={id}
             PutUserPolicy UserName=ann PolicyName=p PolicyDocument=ALLOW
             DeleteUser UserName=ann -> DeleteConflict
             DeleteUserPolicy UserName=ann PolicyName=p
             DeleteUserPolicy UserName=ann PolicyName=p -> NoSuchEntity
             DeleteUser UserName=ann
             GetUser UserName=ann -> NoSuchEntity
             DeleteUser UserName=ann -> NoSuchEntity"
        ),
    );
}

#[test]
fn lists_come_in_pages_by_name_and_show_the_callers_account() {
    let world = World::new();
    script(
        &world,
        "CreateUser UserName=cem
         CreateUser UserName=ann
         CreateUser UserName=bea",
    );
    let first = ok(&world, "ListUsers", &[("MaxItems", "2")]);
    assert_eq!(texts(&first, "UserName"), ["ann", "bea"]);
    assert_eq!(texts(&first, "IsTruncated"), ["true"]);
    let marker = &texts(&first, "Marker")[0];
    let second = ok(
        &world,
        "ListUsers",
        &[("MaxItems", "2"), ("Marker", marker)],
    );
    assert_eq!(texts(&second, "UserName"), ["cem"]);
    assert_eq!(texts(&second, "IsTruncated"), ["false"]);
    refused(
        &world,
        "ListRoles",
        &[("Marker", marker)],
        "ValidationError",
    );

    let other = Visitor::of(TWO);
    let ann = parameters(&[("UserName", "ann")]);
    assert_refused::<Iam>(other.ask::<Iam>(&world, "GetUser", &ann), "NoSuchEntity");
    let theirs = other.ask::<Iam>(&world, "CreateUser", &ann).unwrap();
    assert!(
        theirs.contains("arn:aws:iam::444455556666:user/ann"),
        "{theirs}"
    );
    let theirs = other.ask::<Iam>(&world, "ListUsers", &parameters(&[]));
    assert_eq!(texts(&theirs.unwrap(), "UserName"), ["ann"]);
}

#[test]
fn keys_are_shown_once_and_sign_while_they_are_active() {
    let world = World::new();
    let files = files();
    ok(&world, "CreateUser", &[("UserName", "ann")]);
    let created = ok(&world, "CreateAccessKey", &[("UserName", "ann")]);
    let id = texts(&created, "AccessKeyId").remove(0);
    let secret = texts(&created, "SecretAccessKey").remove(0);
    let keys = |world: &World| {
        let config = world.plane.configuration(&files, world.now.get());
        compile(&config).unwrap_or_else(|problems| panic!("{problems}"));
        let user = config
            .users
            .iter()
            .find(|user| &*user.name == "ann")
            .unwrap();
        let keys = user.access_keys.iter();
        keys.map(|key| (key.id.to_string(), key.secret.expose().to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&world), [(id.clone(), secret.clone())]);
    for operation in ["ListAccessKeys", "GetUser", "ListUsers"] {
        assert!(
            !ok(&world, operation, &[("UserName", "ann")]).contains(&secret),
            "{operation}"
        );
    }
    ok(
        &world,
        "UpdateAccessKey",
        &[
            ("UserName", "ann"),
            ("AccessKeyId", &id),
            ("Status", "Inactive"),
        ],
    );
    assert_eq!(keys(&world), []);
    assert_eq!(
        texts(
            &ok(&world, "ListAccessKeys", &[("UserName", "ann")]),
            "Status"
        ),
        ["Inactive"]
    );
    ok(
        &world,
        "UpdateAccessKey",
        &[
            ("UserName", "ann"),
            ("AccessKeyId", &id),
            ("Status", "Active"),
        ],
    );
    assert_eq!(keys(&world).len(), 1);
    ok(&world, "CreateAccessKey", &[("UserName", "ann")]);
    refused(
        &world,
        "CreateAccessKey",
        &[("UserName", "ann")],
        "LimitExceeded",
    );
    refused(
        &world,
        "DeleteAccessKey",
        &[("UserName", "ann"), ("AccessKeyId", "AKIANONE")],
        "NoSuchEntity",
    );
    refused(
        &world,
        "UpdateAccessKey",
        &[("UserName", "ann"), ("AccessKeyId", &id), ("Status", "On")],
        "ValidationError",
    );

    // Without a name the caller's own keys are meant; a session of a role has none.
    let ann = Visitor {
        user: Some("ann"),
        ..Visitor::of(ONE)
    };
    let own = ann
        .ask::<Iam>(&world, "ListAccessKeys", &parameters(&[]))
        .unwrap();
    assert_eq!(texts(&own, "AccessKeyId").len(), 2);
    refused(&world, "ListAccessKeys", &[], "ValidationError");
}

/// The policies of the user `ann` and of the role `reader`, as the data plane has them. It compiles them.
fn running(world: &World, files: &Arc<Config>) -> [Vec<String>; 2] {
    let config = world.plane.configuration(files, world.now.get());
    compile(&config).unwrap_or_else(|problems| panic!("{problems}"));
    let user = config
        .users
        .iter()
        .find(|user| &*user.name == "ann")
        .unwrap();
    let role = config
        .roles
        .iter()
        .find(|role| &*role.name == "reader")
        .unwrap();
    assert_eq!(role.max_session_duration.as_secs(), 7200);
    assert_eq!(role.trust_policy.as_ref().unwrap().text.as_ref(), TRUST);
    [&user.policies, &role.policies].map(|all| all.iter().map(|one| one.text.to_string()).collect())
}

const ANN_AND_READER: &str = "
    CreateUser UserName=ann
    CreateRole RoleName=reader AssumeRolePolicyDocument=TRUST MaxSessionDuration=7200";

#[test]
fn own_and_shared_policies_reach_the_data_plane() {
    let world = World::new();
    let files = files();
    let shared = "arn:aws:iam::111122223333:policy/shared";
    script(&world, ANN_AND_READER);
    script(
        &world,
        &format!(
            "CreatePolicy PolicyName=shared PolicyDocument=DENY
             PutUserPolicy UserName=ann PolicyName=own PolicyDocument=ALLOW
             PutRolePolicy RoleName=reader PolicyName=own PolicyDocument=ALLOW
             AttachUserPolicy UserName=ann PolicyArn={shared}
             AttachRolePolicy RoleName=reader PolicyArn={shared}"
        ),
    );
    assert_eq!(running(&world, &files), [[ALLOW, DENY], [ALLOW, DENY]]);
    let got = ok(
        &world,
        "GetRolePolicy",
        &[("RoleName", "reader"), ("PolicyName", "own")],
    );
    assert_eq!(
        texts(&got, "PolicyDocument"),
        [super::given::percent_encoded(ALLOW)]
    );
    let listed = ok(&world, "ListUserPolicies", &[("UserName", "ann")]);
    assert_eq!(texts(&listed, "member"), ["own"]);
    let attached = ok(&world, "ListAttachedUserPolicies", &[("UserName", "ann")]);
    assert_eq!(texts(&attached, "PolicyArn"), [shared]);
    let policy = ok(&world, "GetPolicy", &[("PolicyArn", shared)]);
    assert_eq!(texts(&policy, "AttachmentCount"), ["2"]);
    script(
        &world,
        &format!(
            "DeletePolicy PolicyArn={shared} -> DeleteConflict
             DeleteRole RoleName=reader -> DeleteConflict
             DetachUserPolicy UserName=ann PolicyArn={shared}
             DetachRolePolicy RoleName=reader PolicyArn={shared}
             DetachRolePolicy RoleName=reader PolicyArn={shared} -> NoSuchEntity"
        ),
    );
    assert_eq!(running(&world, &files), [[ALLOW], [ALLOW]]);
    script(
        &world,
        &format!(
            "DeletePolicy PolicyArn={shared}
             AttachUserPolicy UserName=ann PolicyArn={shared} -> NoSuchEntity
             AttachUserPolicy UserName=ann PolicyArn=arn:aws:iam::aws:policy/AdministratorAccess -> NoSuchEntity"
        ),
    );
}

#[test]
fn policies_that_would_not_compile_are_refused() {
    let world = World::new();
    script(&world, ANN_AND_READER);
    script(
        &world,
        "PutUserPolicy UserName=ann PolicyName=p PolicyDocument= -> ValidationError
         PutUserPolicy UserName=ann PolicyName=p PolicyDocument={} -> MalformedPolicyDocument
         PutUserPolicy UserName=ann PolicyName=p PolicyDocument=text -> MalformedPolicyDocument
         PutUserPolicy UserName=ann PolicyName=p PolicyDocument=TRUST -> MalformedPolicyDocument
         PutUserPolicy UserName=ann PolicyName=p PolicyDocument=BARE -> MalformedPolicyDocument
         PutRolePolicy RoleName=reader PolicyName=p PolicyDocument=TRUST -> MalformedPolicyDocument
         CreatePolicy PolicyName=p PolicyDocument=BARE -> MalformedPolicyDocument
         CreateRole RoleName=r AssumeRolePolicyDocument=ALLOW -> MalformedPolicyDocument
         UpdateAssumeRolePolicy RoleName=reader PolicyDocument=ALLOW -> MalformedPolicyDocument",
    );
    let long = ALLOW.replace(
        r#""Resource":"*""#,
        &format!(r#""Resource":"{}""#, "a".repeat(11_000)),
    );
    for (operation, who, name) in [
        ("PutUserPolicy", "UserName", "ann"),
        ("PutRolePolicy", "RoleName", "reader"),
    ] {
        let pairs = [(who, name), ("PolicyName", "p"), ("PolicyDocument", &long)];
        refused(&world, operation, &pairs, "LimitExceeded");
    }
    // Each is small enough, all together are not.
    let many = format!(r#""Resource":[{}"*"]"#, r#""*","#.repeat(300));
    let half = ALLOW.replace(r#""Resource":"*""#, &many);
    let put = |policy| {
        [
            ("UserName", "ann"),
            ("PolicyName", policy),
            ("PolicyDocument", half.as_str()),
        ]
    };
    ok(&world, "PutUserPolicy", &put("one"));
    refused(&world, "PutUserPolicy", &put("two"), "LimitExceeded");
}

#[test]
fn principals_of_files_are_shown_and_not_changed() {
    let world = World::new();
    let files = files();
    world.plane.configuration(&files, world.now.get());
    let shown = ok(&world, "ListAccessKeys", &[("UserName", "filed")]);
    assert_eq!(texts(&shown, "AccessKeyId"), ["AKIAFILED"]);
    assert!(ok(&world, "GetRole", &[("RoleName", "filed")]).contains("role/filed"));
    refused(
        &world,
        "CreateUser",
        &[("UserName", "filed")],
        "EntityAlreadyExists",
    );
    for (operation, more) in [
        ("DeleteUser", vec![]),
        ("CreateAccessKey", vec![]),
        ("DeleteAccessKey", vec![("AccessKeyId", "AKIAFILED")]),
        (
            "PutUserPolicy",
            vec![("PolicyName", "p"), ("PolicyDocument", ALLOW)],
        ),
    ] {
        let pairs = [vec![("UserName", "filed")], more].concat();
        refused(&world, operation, &pairs, "AccessDenied");
    }
    // Once, as the file has it.
    let config = world.plane.configuration(&files, world.now.get());
    assert_eq!(config.users, files.users);
    assert_eq!(config.roles, files.roles);
}

#[test]
fn every_operation_asks_for_its_own_action_and_nothing_unsupported_is_passed_over() {
    let world = World::new();
    let arn = "arn:aws:iam::111122223333:policy/p";
    let everything = [
        ("UserName", "u"),
        ("RoleName", "r"),
        ("PolicyName", "p"),
        ("PolicyArn", arn),
        ("PolicyDocument", ALLOW),
        ("AssumeRolePolicyDocument", TRUST),
        ("AccessKeyId", "AKIA"),
        ("Status", "Active"),
        ("VersionId", "v1"),
    ];
    for operation in <Iam as crate::neighbor::Api>::OPERATIONS {
        let denied = format!("iam:{operation}");
        let denied = [denied.as_str()];
        let answer = Visitor::of(ONE).without(&denied).ask::<Iam>(
            &world,
            operation,
            &parameters(&everything),
        );
        assert_refused::<Iam>(answer, "AccessDenied");
    }
    for (operation, parameter, value) in [
        ("CreateUser", "Path", "/team/"),
        ("CreateUser", "PermissionsBoundary", arn),
        ("CreateRole", "PermissionsBoundary", arn),
        ("CreateRole", "MaxSessionDuration", "60"),
        ("CreatePolicy", "Path", "/team/"),
        ("ListUsers", "MaxItems", "0"),
        ("ListUsers", "Marker", "x"),
        ("ListPolicies", "Scope", "Mine"),
    ] {
        refused(
            &world,
            operation,
            &[&everything[..], &[(parameter, value)]].concat(),
            "ValidationError",
        );
    }
    for name in ["", "a b", "a/b", "ä", &"a".repeat(65)] {
        refused(
            &world,
            "CreateUser",
            &[("UserName", name)],
            "ValidationError",
        );
    }
}
