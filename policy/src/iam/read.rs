//! From text to [`Document`], or every problem of the policy at once.
//!
//! Nothing is ignored: an element, key, operator or value that is not understood is a problem with its place.

pub(crate) mod calls;
mod conditions;
mod principals;
mod shadows;
mod texts;

pub(crate) use principals::Signers;

use trellis_model::{
    config::PolicyText,
    problem::{Code, Place, Problem},
};

use crate::{
    iam::{Document, Effect, Principals, Resources, Statement},
    json::{self, Member, Node, Value},
    request::Action,
    wildcard::{Pattern, Reach},
};

/// Longest policy, in bytes. Source: VPC Lattice API model, `AuthPolicyString`, `max` 102 400; the quota of 10 KB for auth policies
/// is checked where they are loaded.
pub(crate) const MAX_LENGTH: usize = 102_400;

/// Where a policy is attached, which decides what it may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Attached {
    /// To a service network or service: statements name principals.
    ToResource,
    /// To a user or role: statements are about their owner.
    ToIdentity,
    /// To a user or role, read for what it says about calls of the control API.
    ToCaller,
    /// To a role, as its trust policy: statements name principals, and the resource is the role.
    Trust,
}

impl Attached {
    /// Is it read for calls of the control API rather than for requests?
    fn is_about_calls(self) -> bool {
        matches!(self, Self::ToCaller | Self::Trust)
    }
}

/// Which texts are special.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// `2008-10-17`, also when none is given: `${` is ordinary text.
    V2008,
    /// `2012-10-17`: `${…}` is a policy variable.
    V2012,
}

/// Reads a policy; the problems that come with a document are warnings. With `signers`, principals that are none of them are
/// among those.
pub(crate) fn read(
    policy: &PolicyText,
    attached: Attached,
    signers: Option<&Signers>,
) -> Result<(Document, Vec<Problem>), Vec<Problem>> {
    check_length(policy)?;
    let mut reader = Reader {
        place: &policy.place,
        attached,
        signers,
        version: Version::V2008,
        sid: None,
        problems: Vec::new(),
    };
    let document = reader.document(&policy.text);
    let failed = reader
        .problems
        .iter()
        .any(|problem| problem.severity == trellis_model::problem::Severity::Error);
    match document {
        Some(document) if !failed => Ok((document, reader.problems)),
        _ => Err(reader.problems),
    }
}

/// Refuses a text of more than [`MAX_LENGTH`] bytes.
pub(crate) fn check_length(policy: &PolicyText) -> Result<(), Vec<Problem>> {
    let bytes = policy.text.len();
    if bytes <= MAX_LENGTH {
        return Ok(());
    }
    let message = format!("the policy has {bytes} bytes");
    let problem = Problem::error(policy.place.clone(), message);
    Err(vec![problem.hint(format!("{MAX_LENGTH} are the most"))])
}

struct Reader<'a> {
    place: &'a Place,
    attached: Attached,
    signers: Option<&'a Signers>,
    version: Version,
    /// `Sid` of the statement being read.
    sid: Option<Box<str>>,
    problems: Vec<Problem>,
}

/// Where in the policy the reader is.
#[derive(Debug, Clone)]
struct Spot {
    path: String,
    line: u32,
}

impl Spot {
    fn member(&self, member: &Member) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self {
            path: format!("{}{dot}{}", self.path, member.name),
            line: member.line,
        }
    }

    fn item(&self, position: usize, node: &Node) -> Self {
        Self {
            path: format!("{}[{position}]", self.path),
            line: node.line,
        }
    }
}

/// Nearest of the known words, if it is near.
fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    known
        .into_iter()
        .map(|word| {
            (
                strsim::osa_distance(&lower, &word.to_ascii_lowercase()),
                word,
            )
        })
        .min()
        .filter(|(distance, word)| *distance * 2 <= word.len())
        .map(|(_, word)| word)
}

impl Reader<'_> {
    fn place(&self, spot: &Spot) -> Place {
        let inline = !self.place.path.is_empty();
        let dot = if inline && !spot.path.is_empty() {
            "."
        } else {
            ""
        };
        Place {
            file: self.place.file.clone(),
            path: format!("{}{dot}{}", self.place.path, spot.path),
            // Within a document the text was written anew, so only the line of the whole is known.
            line: if inline {
                self.place.line
            } else {
                Some(spot.line)
            },
        }
    }

    fn message(&self, message: &str) -> String {
        match &self.sid {
            Some(sid) => format!("statement `{sid}`: {message}"),
            None => message.to_owned(),
        }
    }

    fn error(&mut self, spot: &Spot, message: impl AsRef<str>, hint: impl Into<String>) {
        let hint = hint.into();
        let problem = Problem::error(self.place(spot), self.message(message.as_ref()));
        self.problems.push(if hint.is_empty() {
            problem
        } else {
            problem.hint(hint)
        });
    }

    fn warn(&mut self, code: Code, spot: &Spot, message: impl AsRef<str>, hint: impl Into<String>) {
        let problem = Problem::warning(self.place(spot), self.message(message.as_ref()));
        self.problems.push(problem.code(code).hint(hint));
    }

    /// The members of an object; repeated ones are problems.
    fn members<'n>(&mut self, node: &'n Node, spot: &Spot, what: &str) -> Option<&'n [Member]> {
        let Value::Object(members) = &node.value else {
            let kind = node.value.kind();
            self.error(spot, format!("{kind} where {what} should be"), "");
            return None;
        };
        let mut seen: std::collections::HashSet<&str> = std::collections::HashSet::new();
        for member in members {
            if !seen.insert(&member.name) {
                let message = format!("`{}` is written twice", member.name);
                self.error(
                    &spot.member(member),
                    message,
                    "put all values into one list, or use two statements",
                );
            }
        }
        Some(members)
    }

    fn unknown(&mut self, member: &Member, spot: &Spot, known: &[&str]) {
        let hint = match nearest(&member.name, known.iter().copied()) {
            Some(word) => format!("write `{word}`"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.error(
            &spot.member(member),
            format!("`{}` is not known here", member.name),
            hint,
        );
    }

    fn document(&mut self, text: &str) -> Option<Document> {
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
        // The version decides how everything else is read, wherever it is written.
        for member in members.iter().filter(|member| member.name == "Version") {
            self.version(member, &top);
        }
        let mut statements = None;
        for member in members {
            match member.name.as_str() {
                "Version" => {}
                "Id" => {
                    self.text(&member.node, &top.member(member));
                }
                "Statement" => {
                    statements = Some(self.statements(&member.node, &top.member(member)));
                }
                _ => self.unknown(member, &top, &["Version", "Id", "Statement"]),
            }
        }
        if statements.is_none() {
            self.error(
                &top,
                "`Statement` is missing",
                "a policy has at least one statement",
            );
        }
        Some(Document {
            statements: statements?,
        })
    }

    fn version(&mut self, member: &Member, top: &Spot) {
        let spot = top.member(member);
        match self.text(&member.node, &spot).as_deref() {
            Some("2012-10-17") => self.version = Version::V2012,
            Some("2008-10-17") | None => {}
            Some(other) => self.error(
                &spot,
                format!("version `{other}` does not exist"),
                "write `2012-10-17`",
            ),
        }
    }

    fn statements(&mut self, node: &Node, spot: &Spot) -> Vec<Statement> {
        let nodes = match &node.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(position, item)| (item, spot.item(position, item)))
                .collect(),
            _ => vec![(node, spot.clone())],
        };
        if nodes.is_empty() {
            self.warn(
                Code::Empty,
                spot,
                "the policy has no statement",
                "it allows nothing",
            );
        }
        let mut sids = std::collections::HashSet::new();
        let mut statements: Vec<(Statement, Spot)> = Vec::new();
        for (node, spot) in nodes {
            let statement = self.statement(node, &spot);
            if let Some(sid) = &self.sid.take()
                && !sids.insert(sid.clone())
            {
                self.error(
                    &spot,
                    format!("`Sid` `{sid}` is taken by an earlier statement"),
                    "",
                );
            }
            statements.extend(statement.map(|statement| (statement, spot)));
        }
        self.shadows(&statements);
        statements
            .into_iter()
            .map(|(statement, _)| statement)
            .collect()
    }

    fn statement(&mut self, node: &Node, spot: &Spot) -> Option<Statement> {
        const KNOWN: [&str; 9] = [
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        let members = self.members(node, spot, "a statement")?;
        for member in members {
            if !KNOWN.contains(&member.name.as_str()) {
                self.unknown(member, spot, &KNOWN);
            }
        }
        let find = |name: &str| {
            let member = members.iter().find(|member| member.name == name);
            member.map(|member| (&member.node, spot.member(member)))
        };
        if let Some((node, spot)) = find("Sid") {
            // An empty one, which consoles write, names nothing.
            let sid = self.text(node, &spot).filter(|sid| !sid.is_empty());
            self.sid = sid.map(Into::into);
        }
        let effect = self.effect(find("Effect"), spot);
        let principals = self.principals(find("Principal"), find("NotPrincipal"), effect, spot);
        let actions = self.actions(find("Action"), find("NotAction"), spot);
        let resources = self.resources(find("Resource"), find("NotResource"), spot);
        let about = actions.as_deref().unwrap_or(&Action::ALL);
        let conditions = find("Condition")
            .map(|(node, spot)| self.conditions(node, &spot, about))
            .unwrap_or_default();
        Some(Statement {
            sid: self.sid.clone(),
            effect: effect?,
            principals: principals?,
            actions: actions?,
            resources: resources?,
            conditions,
        })
    }

    fn effect(&mut self, found: Option<(&Node, Spot)>, statement: &Spot) -> Option<Effect> {
        let Some((node, spot)) = found else {
            self.error(statement, "`Effect` is missing", "write `Allow` or `Deny`");
            return None;
        };
        match self.text(node, &spot)?.as_str() {
            "Allow" => Some(Effect::Allow),
            "Deny" => Some(Effect::Deny),
            other => {
                self.error(
                    &spot,
                    format!("`{other}` is not an effect"),
                    "write `Allow` or `Deny`",
                );
                None
            }
        }
    }

    /// One of two elements that exclude each other; `true` for the second.
    fn either<'n>(
        &mut self,
        plain: Option<(&'n Node, Spot)>,
        negated: Option<(&'n Node, Spot)>,
        names: (&str, &str),
        statement: &Spot,
    ) -> Option<(&'n Node, Spot, bool)> {
        match (plain, negated) {
            (Some((node, spot)), None) => Some((node, spot, false)),
            (None, Some((node, spot))) => Some((node, spot, true)),
            (Some(_), Some((_, spot))) => {
                self.error(
                    &spot,
                    format!("`{}` and `{}` exclude each other", names.0, names.1),
                    "keep one",
                );
                None
            }
            (None, None) => {
                self.error(statement, format!("`{}` is missing", names.0), "");
                None
            }
        }
    }

    fn actions(
        &mut self,
        plain: Option<(&Node, Spot)>,
        negated: Option<(&Node, Spot)>,
        statement: &Spot,
    ) -> Option<Vec<Action>> {
        let (node, spot, negated) =
            self.either(plain, negated, ("Action", "NotAction"), statement)?;
        let texts = self.members_of_list(node, &spot, negated)?;
        let mut named = Vec::new();
        for (text, spot) in texts {
            named.extend(self.action(&text, &spot)?);
        }
        Some(
            Action::ALL
                .into_iter()
                .filter(|action| named.contains(action) != negated)
                .collect(),
        )
    }

    /// The actions that a text names. Actions are compared without case.
    fn action(&mut self, text: &str, spot: &Spot) -> Option<Vec<Action>> {
        const HINT: &str =
            "the actions are `vpc-lattice-svcs:Invoke` and `vpc-lattice-svcs:Connect`";
        let lower = text.to_ascii_lowercase();
        let parts = lower
            .split_once(':')
            .map(|(service, name)| (service.is_empty(), name.is_empty() || name.contains(':')));
        if text != "*" && parts != Some((false, false)) || text.contains("${") {
            self.error(spot, format!("`{text}` is not an action"), HINT);
            return None;
        }
        let pattern = Pattern::parse(&lower);
        let named: Vec<Action> = Action::ALL
            .into_iter()
            .filter(|action| pattern.matches(&action.as_str().to_ascii_lowercase()))
            .collect();
        let ours = lower.starts_with("vpc-lattice-svcs:") || self.attached == Attached::ToResource;
        if named.is_empty() && ours {
            self.warn(
                Code::UnknownAction,
                spot,
                format!("`{text}` names no action that a request can have"),
                HINT,
            );
        }
        Some(named)
    }

    fn resources(
        &mut self,
        plain: Option<(&Node, Spot)>,
        negated: Option<(&Node, Spot)>,
        statement: &Spot,
    ) -> Option<Resources> {
        let (node, spot, negated) =
            self.either(plain, negated, ("Resource", "NotResource"), statement)?;
        let texts = self.members_of_list(node, &spot, negated)?;
        let mut patterns = Vec::new();
        let mut templates = Vec::new();
        for (text, spot) in texts {
            let template = self.template(&text, &spot)?;
            let pattern = template.pattern();
            let outline = pattern.clone().unwrap_or_else(|| template.outline());
            if outline.reach("arn:") == Reach::Never {
                let hint = format!(
                    "write `*{}{text}`, or the ARN of the service and the path",
                    if text.starts_with('/') { "" } else { "/" }
                );
                self.error(&spot, format!("`{text}` is not a resource"), hint);
                return None;
            }
            match pattern {
                Some(pattern) => patterns.push(pattern),
                None => templates.push(template),
            }
        }
        Some(Resources {
            negated,
            patterns,
            templates: templates.into(),
        })
    }

    fn principals(
        &mut self,
        plain: Option<(&Node, Spot)>,
        negated: Option<(&Node, Spot)>,
        effect: Option<Effect>,
        statement: &Spot,
    ) -> Option<Principals> {
        if matches!(self.attached, Attached::ToIdentity | Attached::ToCaller) {
            if let Some((_, spot)) = plain.or(negated) {
                self.error(
                    &spot,
                    "a policy of a user or role names no principal",
                    "remove it: the statement is about the user or role",
                );
                return None;
            }
            return Some(Principals::Everybody);
        }
        let (node, spot, negated) =
            self.either(plain, negated, ("Principal", "NotPrincipal"), statement)?;
        if negated && effect == Some(Effect::Allow) {
            // Source: IAM user guide, "NotPrincipal": to be used with `Deny` only.
            self.error(&spot, "`NotPrincipal` cannot be used with `Allow`", "it would allow everybody else, anonymous signers included; name those to allow in `Principal`");
            return None;
        }
        if negated && self.attached == Attached::Trust {
            // Source: IAM user guide, "NotPrincipal": not in a role trust policy.
            self.error(
                &spot,
                "a trust policy has no `NotPrincipal`",
                "use `Principal` and a condition on `aws:PrincipalArn`, such as `ArnNotLike`",
            );
            return None;
        }
        self.principal_element(node, &spot, negated)
    }
}

#[cfg(test)]
mod tests;
