//! What of an IAM statement is known once caller, action and service are: the clauses that surely hold, and whether it surely does
//! not apply.
//!
//! A caller is one of a list or not, so the clause about principals is always decided here, once per caller and not once per
//! request, whatever the length of the list; of the clause about resources only what the ARN of the service decides.

use crate::{
    iam::{PrincipalList, Principals, Resources},
    principal::{Principal, PrincipalType},
    request::Action,
    wildcard::Reach,
};

/// Is a statement with these principals about the caller?
pub(super) fn is_about(principals: &Principals, principal: Option<&Principal>) -> bool {
    match (principals, principal) {
        (Principals::Everybody, _) | (Principals::Others(_), None) => true,
        (Principals::Listed(_), None) => false,
        (Principals::Listed(list), Some(principal)) => names(list, principal).contains(&true),
        // Excepted is who is listed with all that it belongs to.
        (Principals::Others(list), Some(principal)) => names(list, principal).contains(&false),
    }
}

/// Are the account, the user or role, and the session of a caller listed? A user stands for its session too.
fn names(list: &PrincipalList, principal: &Principal) -> [bool; 3] {
    let among = |list: &[Box<str>], text: &str| list.iter().any(|listed| **listed == *text);
    let account = among(&list.accounts, principal.account.as_str());
    match principal.kind {
        PrincipalType::User => {
            let user = among(&list.users, &principal.arn);
            [account, user, user]
        }
        PrincipalType::AssumedRole => [
            account,
            among(&list.roles, &principal.principal_arn),
            among(&list.sessions, &principal.arn),
        ],
    }
}

/// Does the service alone already decide whether a resource fits? `beginning` is its ARN with a slash.
pub(crate) fn resources(
    resources: &Resources,
    action: Action,
    service_arn: &str,
    beginning: &str,
) -> Reach {
    let mut reached = Reach::Never;
    for template in &resources.templates {
        let outline = template.outline();
        let possible = match action {
            Action::Invoke => outline.reach(beginning) != Reach::Never,
            Action::Connect => outline.matches(service_arn),
        };
        if possible {
            reached = Reach::Depends;
        }
    }
    for pattern in &resources.patterns {
        let one = match action {
            Action::Invoke => pattern.reach(beginning),
            Action::Connect if pattern.matches(service_arn) => Reach::Always,
            Action::Connect => Reach::Never,
        };
        reached = match (reached, one) {
            (Reach::Always, _) | (_, Reach::Always) => Reach::Always,
            (Reach::Depends, _) | (_, Reach::Depends) => Reach::Depends,
            (Reach::Never, Reach::Never) => Reach::Never,
        };
    }
    match (resources.negated, reached) {
        (false, reached) => reached,
        (true, Reach::Always) => Reach::Never,
        (true, Reach::Never) => Reach::Always,
        (true, Reach::Depends) => Reach::Depends,
    }
}
