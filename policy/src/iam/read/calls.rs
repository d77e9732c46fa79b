//! Policies read for what they say about calls of the control API: trust policies of roles, and the policies of callers.

use trellis_model::{
    config::PolicyText,
    problem::{Code, Problem, Severity},
};

use super::{Attached, Reader, Spot, Version, check_length};
use crate::{
    iam::{Effect, Principals, Resources, condition::Condition},
    json::{self, Member, Node, Value},
    wildcard::Pattern,
};

/// One statement about calls.
#[derive(Debug, Clone)]
pub(crate) struct CallStatement {
    pub(crate) effect: Effect,
    pub(crate) principals: Principals,
    /// `NotAction`: every action but these.
    pub(crate) not_action: bool,
    /// In lower case: actions are compared without case.
    pub(crate) actions: Vec<Pattern>,
    /// None in a trust policy, whose resource is the role.
    pub(crate) resources: Option<Resources>,
    /// All of them must hold.
    pub(crate) conditions: Vec<Condition>,
}

/// Reads a policy; the problems that come with its statements are warnings.
pub(crate) fn read_calls(
    policy: &PolicyText,
    attached: Attached,
) -> Result<(Vec<CallStatement>, Vec<Problem>), Vec<Problem>> {
    check_length(policy)?;
    let mut reader = Reader {
        place: &policy.place,
        attached,
        signers: None,
        version: Version::V2008,
        sid: None,
        problems: Vec::new(),
    };
    let statements = reader.call_statements(&policy.text);
    let failed = |problem: &Problem| problem.severity == Severity::Error;
    match statements {
        Some(statements) if !reader.problems.iter().any(failed) => {
            Ok((statements, reader.problems))
        }
        _ => Err(reader.problems),
    }
}

impl Reader<'_> {
    fn call_statements(&mut self, text: &str) -> Option<Vec<CallStatement>> {
        const KNOWN: [&str; 3] = ["Version", "Id", "Statement"];
        let top = Spot {
            path: String::new(),
            line: 1,
        };
        let node = match json::parse(text) {
            Ok(node) => node,
            Err(error) => {
                let spot = Spot {
                    path: String::new(),
                    line: error.line,
                };
                self.error(&spot, format!("not JSON: {}", error.message), "");
                return None;
            }
        };
        let members = self.members(&node, &top, "a policy")?;
        for member in members.iter().filter(|member| member.name == "Version") {
            self.version(member, &top);
        }
        for member in members {
            if !KNOWN.contains(&member.name.as_str()) {
                self.unknown(member, &top, &KNOWN);
            }
        }
        let Some(member) = members.iter().find(|member| member.name == "Statement") else {
            self.error(
                &top,
                "`Statement` is missing",
                "a policy has at least one statement",
            );
            return None;
        };
        Some(self.each_call_statement(&member.node, &top.member(member)))
    }

    fn each_call_statement(&mut self, node: &Node, spot: &Spot) -> Vec<CallStatement> {
        let mut statements = Vec::new();
        match &node.value {
            Value::List(items) => {
                for (position, item) in items.iter().enumerate() {
                    statements.extend(self.call_statement(item, &spot.item(position, item)));
                }
            }
            _ => statements.extend(self.call_statement(node, spot)),
        }
        self.sid = None;
        statements
    }

    fn call_statement(&mut self, node: &Node, spot: &Spot) -> Option<CallStatement> {
        let members = self.members(node, spot, "a statement")?;
        self.check_members(members, spot);
        let find = |name: &str| {
            let member = members.iter().find(|member| member.name == name);
            member.map(|member| (&member.node, spot.member(member)))
        };
        self.sid = find("Sid")
            .and_then(|(node, spot)| self.text(node, &spot))
            .filter(|sid| !sid.is_empty())
            .map(Into::into);
        let effect = self.effect(find("Effect"), spot);
        let principals = self.principals(find("Principal"), find("NotPrincipal"), effect, spot);
        let actions = self.call_actions(find("Action"), find("NotAction"), spot);
        let resources = if self.attached == Attached::Trust {
            Some(None)
        } else {
            self.resources(find("Resource"), find("NotResource"), spot)
                .map(Some)
        };
        let conditions = find("Condition")
            .map(|(node, spot)| self.conditions(node, &spot, &[]))
            .unwrap_or_default();
        let (not_action, actions) = actions?;
        Some(CallStatement {
            effect: effect?,
            principals: principals?,
            not_action,
            actions,
            resources: resources?,
            conditions,
        })
    }

    fn check_members(&mut self, members: &[Member], spot: &Spot) {
        const KNOWN: [&str; 9] = [
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Condition",
            "Resource",
            "NotResource",
        ];
        for member in members {
            let name = member.name.as_str();
            if self.attached == Attached::Trust && matches!(name, "Resource" | "NotResource") {
                // Source: IAM user guide, "IAM JSON policy elements: Resource": a trust policy must not have one.
                self.error(
                    &spot.member(member),
                    format!("a trust policy has no `{name}`"),
                    "remove it: the resource is the role",
                );
            } else if !KNOWN.contains(&name) {
                self.unknown(member, spot, &KNOWN);
            }
        }
    }

    fn call_actions(
        &mut self,
        plain: Option<(&Node, Spot)>,
        negated: Option<(&Node, Spot)>,
        statement: &Spot,
    ) -> Option<(bool, Vec<Pattern>)> {
        let (node, spot, negated) =
            self.either(plain, negated, ("Action", "NotAction"), statement)?;
        let mut patterns = Vec::new();
        for (text, spot) in self.members_of_list(node, &spot, negated)? {
            let lower = text.to_ascii_lowercase();
            if lower != "*"
                && !lower
                    .split_once(':')
                    .is_some_and(|(s, n)| !s.is_empty() && !n.is_empty())
            {
                self.error(&spot, format!("`{text}` is not an action"), "");
                return None;
            }
            let pattern = Pattern::parse(&lower);
            let assumes = ASSUMING
                .iter()
                .any(|action| pattern.matches(&action.to_ascii_lowercase()));
            if self.attached == Attached::Trust && !assumes {
                self.warn(
                    Code::UnknownAction,
                    &spot,
                    format!("`{text}` is no way to assume a role here"),
                    format!("those are {}", ASSUMING.join(", ")),
                );
            }
            patterns.push(pattern);
        }
        Some((negated, patterns))
    }
}

/// What a trust policy can be about.
const ASSUMING: [&str; 4] = [
    "sts:AssumeRole",
    "sts:AssumeRoleWithWebIdentity",
    "sts:SetSourceIdentity",
    "sts:TagSession",
];
