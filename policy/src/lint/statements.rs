//! Statements of IAM policies, beside what they are attached to.

use trellis_model::{
    config::PolicyText,
    problem::{Code, Place},
};

use super::{Linter, Scope};
use crate::{
    iam::{
        Document, Effect, Principals, Statement,
        condition::{Condition, Relation, Test},
        number::Number,
        read::Attached,
    },
    json::{self, Node, Value},
    key::Key,
    layer,
    wildcard::Reach,
};

/// What is said of a statement that lets everybody in.
pub(super) const PUBLIC: &str = "everybody who reaches the service may pass, signed or not";

/// What to do about it.
pub(super) const PUBLIC_HINT: &str = "name `Principal`s, or add a condition about the caller, such as on `aws:PrincipalOrgID`, or about where it comes from, such as on `vpc-lattice-svcs:SourceVpc`";

/// One statement, as read and as written.
struct Written<'w> {
    statement: &'w Statement,
    members: &'w [json::Member],
    place: Place,
}

impl Linter<'_> {
    pub(super) fn statements(
        &mut self,
        policy: &PolicyText,
        document: &Document,
        scope: &Scope<'_>,
    ) {
        let Ok(root) = json::parse(&policy.text) else {
            return;
        };
        for (statement, (node, suffix)) in document.statements.iter().zip(nodes(&root)) {
            let Value::Object(members) = &node.value else {
                continue;
            };
            let written = Written {
                statement,
                members,
                place: place(policy, node, &suffix),
            };
            self.public_access(&written, scope);
            self.allow_not(&written);
            self.unreachable_resources(&written, scope);
            for condition in &statement.conditions {
                self.values(&written, condition, scope);
            }
        }
    }

    fn find_in(&mut self, code: Code, written: &Written<'_>, message: &str, hint: &str) {
        let message = match &written.statement.sid {
            Some(sid) => format!("statement `{sid}`: {message}"),
            None => message.to_owned(),
        };
        self.find(code, &written.place, message, hint);
    }

    fn public_access(&mut self, written: &Written<'_>, scope: &Scope<'_>) {
        let statement = written.statement;
        let open = statement.effect == Effect::Allow
            && statement.principals == Principals::Everybody
            && !statement.actions.is_empty()
            && !statement.conditions.iter().any(restricts);
        if open && scope.counted && scope.attached == Attached::ToResource {
            self.find_in(Code::PublicAccess, written, PUBLIC, PUBLIC_HINT);
        }
    }

    fn allow_not(&mut self, written: &Written<'_>) {
        if written.statement.effect == Effect::Deny {
            return;
        }
        for (name, instead) in [("NotAction", "Action"), ("NotResource", "Resource")] {
            if written.members.iter().any(|member| member.name == name) {
                let message = format!("`Allow` with `{name}` allows also what is only added later");
                let hint = format!("name what to allow in `{instead}`, or deny the rest");
                self.find_in(Code::AllowNot, written, &message, &hint);
            }
        }
    }

    fn unreachable_resources(&mut self, written: &Written<'_>, scope: &Scope<'_>) {
        let statement = written.statement;
        // About other services alone, or attached to what has no service: that is said elsewhere.
        if statement.actions.is_empty() || scope.services.is_empty() {
            return;
        }
        let reached = scope.services.iter().any(|service| {
            let arn = service.arn.as_str();
            let beginning = format!("{arn}/");
            statement.actions.iter().any(|action| {
                layer::reach::resources(&statement.resources, *action, arn, &beginning)
                    != Reach::Never
            })
        });
        if !reached {
            let message = "its resources fit no service that the policy is about";
            let hint = match scope.services {
                [only] => format!("the ARN of the service is `{}`", only.arn),
                _ => "a resource is the ARN of a service, a slash and a path, with wildcards"
                    .to_owned(),
            };
            self.find_in(Code::ResourceNeverMatches, written, message, &hint);
        }
    }

    /// Values that the key of a condition never has here.
    fn values(&mut self, written: &Written<'_>, condition: &Condition, scope: &Scope<'_>) {
        if condition.negated {
            return;
        }
        for (what, hint) in self.odd_values(condition, scope) {
            let message = format!("{}: {what}", condition.label);
            self.find_in(Code::UnknownValue, written, &message, &hint);
        }
    }

    /// What is odd about the values of a condition, and what to do about it.
    fn odd_values(&self, condition: &Condition, scope: &Scope<'_>) -> Vec<(String, String)> {
        const PATH: &str = "a path begins with `/`";
        match (&condition.key, &condition.test) {
            (Key::RequestMethod, Test::Equals(texts)) => {
                let lower = texts
                    .iter()
                    .filter(|text| text.bytes().any(|byte| byte.is_ascii_lowercase()));
                let odd = lower.map(|text| {
                    let upper = text.to_ascii_uppercase();
                    (
                        format!("`{text}` is not `{upper}`: methods are compared with their case"),
                        format!("write `{upper}`"),
                    )
                });
                odd.collect()
            }
            (Key::RequestPath, Test::Equals(texts)) => {
                let odd = texts.iter().filter(|text| !text.starts_with('/'));
                odd.map(|text| (format!("`{text}` is no path"), PATH.to_owned()))
                    .collect()
            }
            (Key::RequestPath, Test::Like(patterns)) => {
                let odd = patterns
                    .iter()
                    .any(|pattern| pattern.reach("/") == Reach::Never);
                let finding = || {
                    (
                        "no path fits one of the patterns".to_owned(),
                        PATH.to_owned(),
                    )
                };
                odd.then(finding).into_iter().collect()
            }
            (Key::SourceVpc, Test::Equals(texts)) => {
                let hint = "the value is the id of a VPC, `vpc-…`; `trellis explain` shows those of callers";
                let odd = texts.iter().filter(|text| !self.vpcs.contains(&***text));
                odd.map(|text| {
                    let what = format!("`{text}` is no VPC of this configuration");
                    (what, hint.to_owned())
                })
                .collect()
            }
            (Key::Port, Test::Numeric(Relation::Equal, numbers)) => {
                let listeners = scope.services.iter().flat_map(|service| &service.listeners);
                let ports: Vec<Number> = listeners
                    .filter_map(|listener| Number::parse(&listener.port.to_string()))
                    .collect();
                let odd = !ports.is_empty() && !numbers.iter().any(|number| ports.contains(number));
                let hint = "the port is that of the listener, not that of a target";
                let finding = || ("no listener has such a port".to_owned(), hint.to_owned());
                odd.then(finding).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Does a condition keep anonymous callers out, or limit where requests come from?
fn restricts(condition: &Condition) -> bool {
    match &condition.key {
        Key::PrincipalArn
        | Key::PrincipalOrgId
        | Key::PrincipalOrgPaths
        | Key::PrincipalTag(_)
        | Key::UserName => match &condition.test {
            Test::Null(wanted) => !wanted.contains(&true),
            _ => !condition.when_missing(),
        },
        Key::PrincipalType => !holds_for(condition, "Anonymous"),
        Key::UserId | Key::PrincipalAccount => !holds_for(condition, "anonymous"),
        Key::SourceVpc | Key::SourceVpcOwnerAccount | Key::SourceIp => !condition.negated,
        _ => false,
    }
}

/// Does a condition hold for this value? Variables of anonymous callers have no value.
fn holds_for(condition: &Condition, value: &str) -> bool {
    match &condition.test {
        Test::Null(wanted) => wanted.contains(&false),
        test => test.matches(value) != condition.negated,
    }
}

/// The statements of a policy, with their paths in it.
fn nodes(root: &Node) -> Vec<(&Node, String)> {
    let Value::Object(members) = &root.value else {
        return Vec::new();
    };
    let statements = members.iter().find(|member| member.name == "Statement");
    match statements.map(|member| &member.node) {
        Some(Node {
            value: Value::List(items),
            ..
        }) => items
            .iter()
            .enumerate()
            .map(|(position, node)| (node, format!("Statement[{position}]")))
            .collect(),
        Some(node) => vec![(node, "Statement".to_owned())],
        None => Vec::new(),
    }
}

/// Where a statement stands: a line of its file, or a path in a document, whose lines are found later.
fn place(policy: &PolicyText, node: &Node, suffix: &str) -> Place {
    if policy.place.path.is_empty() {
        return Place {
            path: suffix.to_owned(),
            line: Some(node.line),
            ..policy.place.clone()
        };
    }
    policy.place.below(&format!(".{suffix}"))
}
