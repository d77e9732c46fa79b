//! Rules, conditions and actions.

use std::collections::{HashMap, HashSet};

use super::{
    Builder,
    gateway::given,
    services::{Owner, Users},
    traffic::Written,
};
use crate::{
    config::{
        Action, Case, Forward, HeaderMatch, HeaderMatchKind, HttpMatch, PathMatch, PathMatchKind,
        Rule, RulePriority, Weight, WeightedTargetGroup,
    },
    document::{self, HeaderMatchValue, PathMatchValue},
    id::RuleId,
    load::{path::At, scalar},
    ranges,
};

impl<'a> Builder<'a> {
    /// The rules of a listener, in ascending order of priority.
    pub(super) fn rules(
        &mut self,
        at: &At<'_>,
        owner: Owner<'a, '_>,
        listener: &'a document::Listener,
        users: &mut Users<'a>,
    ) -> Option<Vec<Rule>> {
        let list = at.member("rules");
        let mut names: HashSet<&str> = HashSet::with_capacity(listener.rules.len());
        let mut priorities: HashMap<i64, &str> = HashMap::with_capacity(listener.rules.len());
        let mut rules = Some(Vec::with_capacity(listener.rules.len()));
        for (index, written) in listener.rules.iter().enumerate() {
            let at = list.index(index);
            if !names.insert(&written.name) {
                self.error(
                    &at.member("name"),
                    format!(
                        "{:?} is taken by another rule of this listener",
                        written.name
                    ),
                );
            }
            if let Some(other) = priorities.get(&written.priority) {
                self.error(
                    &at.member("priority"),
                    format!("{} is taken by rule {other:?}", written.priority),
                );
            } else {
                priorities.insert(written.priority, &written.name);
            }
            match (
                self.rule(&at, owner, &listener.name, written, users),
                &mut rules,
            ) {
                (Some(rule), Some(all)) => all.push(rule),
                _ => rules = None,
            }
        }
        if let Some(rules) = &mut rules {
            rules.sort_unstable_by_key(|rule| rule.priority);
        }
        rules
    }

    fn rule(
        &mut self,
        at: &At<'_>,
        owner: Owner<'a, '_>,
        listener: &str,
        written: &'a document::Rule,
        users: &mut Users<'a>,
    ) -> Option<Rule> {
        let name = self.name(
            &at.member("name"),
            &written.name,
            &ranges::RULE_NAME,
            RuleId::PREFIX,
        );
        let priority: Option<u16> =
            self.in_range(&at.member("priority"), written.priority, &ranges::PRIORITY);
        let condition = self.condition(
            &at.member("match").member("httpMatch"),
            &written.condition.http_match,
        );
        let action = self.action(&at.member("action"), owner, &written.action, users);
        let id = RuleId::derive(
            self.account(owner.file),
            &self.region,
            &[owner.name, listener, &written.name],
        );
        let priority = priority.and_then(RulePriority::new);
        Some(Rule {
            id,
            name: name?,
            priority: priority?,
            condition: condition?,
            action: action?,
        })
    }

    fn condition(&mut self, at: &At<'_>, written: &document::HttpMatch) -> Option<HttpMatch> {
        let method = written
            .method
            .as_deref()
            .filter(|method| !method.is_empty());
        if let Some(method) = method
            && self.length(&at.member("method"), method, &ranges::METHOD)
            && !is_token(method)
        {
            self.error(&at.member("method"), format!("`{method}` is not a method"))
                .hint("such as `GET`");
        }
        let path = written
            .path_match
            .as_ref()
            .map(|path| self.path_match(&at.member("pathMatch"), path));
        let list = at.member("headerMatches");
        if written.header_matches.len() > ranges::HEADER_MATCHES {
            let (count, most) = (written.header_matches.len(), ranges::HEADER_MATCHES);
            self.error(
                &list,
                format!("{count} header conditions are more than {most}"),
            );
        }
        let headers: Vec<_> = written
            .header_matches
            .iter()
            .enumerate()
            .map(|(index, header)| self.header_match(&list.index(index), header))
            .collect();
        Some(HttpMatch {
            method: method.map(Into::into),
            path: given(path)?,
            headers: headers.into_iter().collect::<Option<_>>()?,
        })
    }

    fn path_match(&mut self, at: &At<'_>, written: &document::PathMatch) -> Option<PathMatch> {
        let (kind, member, value) = match &written.value {
            PathMatchValue::Exact(value) => (PathMatchKind::Exact, "exact", value),
            PathMatchValue::Prefix(value) => (PathMatchKind::Prefix, "prefix", value),
        };
        let at = at.member("match");
        let at = at.member(member);
        let right = self.length(&at, value, &ranges::PATH) && self.path_text(&at, value);
        if right && value.contains(['?', '#']) {
            self.warning(&at, format!("`{value}` never matches"))
                .hint("only the path is compared, which ends before `?` and `#`");
        }
        let case = if written.case_sensitive.unwrap_or(true) {
            Case::Sensitive
        } else {
            Case::Insensitive
        };
        right.then(|| PathMatch {
            kind,
            value: value.as_str().into(),
            case,
        })
    }

    /// Has a path the characters that paths in rules and health checks may have?
    ///
    /// Source: VPC Lattice API model, `PathMatchExact`, `PathMatchPrefix` and `HealthCheckPath`.
    pub(super) fn path_text(&mut self, at: &At<'_>, text: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"@:%_+.~#?&/=-".contains(&b);
        let right = text.starts_with('/') && text.bytes().all(allowed);
        if !right {
            self.error(at, format!("`{text}` is not a path"))
                .hint("`/`, then letters, digits and `@ : % _ + . ~ # ? & / = -`; other characters percent-encoded");
        }
        right
    }

    fn header_match(
        &mut self,
        at: &At<'_>,
        written: &document::HeaderMatch,
    ) -> Option<HeaderMatch> {
        let (kind, member, value) = match &written.value {
            HeaderMatchValue::Exact(value) => (HeaderMatchKind::Exact, "exact", value),
            HeaderMatchValue::Prefix(value) => (HeaderMatchKind::Prefix, "prefix", value),
            HeaderMatchValue::Contains(value) => (HeaderMatchKind::Contains, "contains", value),
        };
        let name = at.member("name");
        let mut right = self.length(&name, &written.name, &ranges::HEADER_NAME);
        if right && !is_token(&written.name) {
            self.error(
                &name,
                format!("`{}` is not the name of a header", written.name),
            )
            .hint("such as `x-team`");
            right = false;
        }
        let (in_match, readable) = (at.member("match"), scalar::short(value));
        let in_value = in_match.member(member);
        right &= self.length(&in_value, value, &ranges::HEADER_VALUE);
        if value.chars().any(|c| c.is_control() && c != '\t') {
            self.error(&in_value, format!("`{readable}` has control characters"))
                .hint("the value of a header never has them");
            right = false;
        }
        let case = if written.case_sensitive.unwrap_or(false) {
            Case::Sensitive
        } else {
            Case::Insensitive
        };
        right.then(|| HeaderMatch {
            name: written.name.to_ascii_lowercase().into(),
            kind,
            value: value.as_str().into(),
            case,
        })
    }

    /// An action, with the rule that a target group serves one service only.
    pub(super) fn action(
        &mut self,
        at: &At<'_>,
        owner: Owner<'a, '_>,
        written: &'a document::Action,
        users: &mut Users<'a>,
    ) -> Option<Action> {
        match written {
            document::Action::FixedResponse(response) => {
                let status = u16::try_from(response.status_code)
                    .ok()
                    .filter(|status| matches!(status, 404 | 500));
                if status.is_none() {
                    let at = at.member("fixedResponse");
                    self.error(
                        &at.member("statusCode"),
                        format!("{} is neither 404 nor 500", response.status_code),
                    );
                }
                status.map(Action::FixedResponse)
            }
            document::Action::Forward(forward) => {
                let at = at.member("forward");
                let groups = self.forward(&at.member("targetGroups"), owner, forward, users);
                let written = Written {
                    timeouts: forward.timeouts.as_ref(),
                    retry_policy: forward.retry_policy.as_ref(),
                    hedging: forward.hedging.as_ref(),
                };
                let traffic = self.traffic(&at, written, owner.traffic);
                let forward = Forward {
                    groups: groups?,
                    traffic: traffic?,
                };
                Some(Action::Forward(self.alike.forward.share(forward)))
            }
        }
    }

    fn forward(
        &mut self,
        at: &At<'_>,
        owner: Owner<'a, '_>,
        written: &'a document::Forward,
        users: &mut Users<'a>,
    ) -> Option<Vec<WeightedTargetGroup>> {
        let count = written.target_groups.len();
        if !(1..=ranges::FORWARD_GROUPS).contains(&count) {
            self.error(
                at,
                format!(
                    "{count} target groups are not 1 to {}",
                    ranges::FORWARD_GROUPS
                ),
            );
        }
        let mut groups: Vec<WeightedTargetGroup> = Vec::with_capacity(count);
        for (index, weighted) in written.target_groups.iter().enumerate() {
            let at = at.index(index);
            let weight: Option<u16> =
                self.number(&at.member("weight"), weighted.weight, &ranges::WEIGHT, 100);
            let at = at.member("targetGroupIdentifier");
            let identifier = weighted.target_group_identifier.as_str();
            let Some(group) = self.resolve_target_group(owner.file, &at, identifier) else {
                continue;
            };
            let (user, name) = *users.entry(group).or_insert((owner.id, owner.name));
            if user != owner.id {
                self.error(
                    &at,
                    format!("target group `{identifier}` is used by service `{name}`"),
                )
                .hint("a target group serves one service only");
            // Ten groups at most are looked through, once the list has been found too long or not.
            } else if groups
                .iter()
                .take(ranges::FORWARD_GROUPS)
                .any(|other| other.group == group)
            {
                self.error(&at, format!("target group `{identifier}` appears twice"))
                    .hint("give it once, with the sum of the weights");
            } else if let Some(weight) = weight.and_then(Weight::new) {
                groups.push(WeightedTargetGroup { group, weight });
            }
        }
        (groups.len() == count && (1..=ranges::FORWARD_GROUPS).contains(&count)).then_some(groups)
    }
}

/// Characters of methods and header names.
///
/// Spec: RFC 9110 §5.6.2, `token`.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
