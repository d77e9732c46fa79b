//! Users, roles and access keys.

use std::{collections::HashSet, sync::Arc};

use super::{AccountIndex, Builder};
use crate::{
    arn::Arn,
    config::{AccessKey, PolicyText, Role, RoleAccessKey, User},
    document::{self, Policy, SecretSource},
    load::path::At,
    ranges,
};

/// Names seen so far, in lower case: IAM does not let two differ by case only.
type Taken = HashSet<(AccountIndex, String)>;

impl<'a> Builder<'a> {
    pub(super) fn build_principals(&mut self) -> (Vec<Arc<User>>, Vec<Arc<Role>>) {
        let (mut users, mut roles) = (Vec::new(), Vec::new());
        let (mut user_names, mut role_names) = (Taken::new(), Taken::new());
        for (position, file) in self.files.iter().enumerate() {
            let Some(principals) = &file.document.principals else {
                continue;
            };
            let root = At::file(position);
            let at = root.member("principals");
            let list = at.member("users");
            for (index, user) in principals.users.iter().enumerate() {
                let user = self.user(&list.index(index), position, user, &mut user_names);
                users.extend(user.map(Arc::new));
            }
            let list = at.member("roles");
            for (index, role) in principals.roles.iter().enumerate() {
                let role = self.role(&list.index(index), position, role, &mut role_names);
                roles.extend(role.map(Arc::new));
            }
        }
        (users, roles)
    }

    fn user(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &'a document::User,
        taken: &mut Taken,
    ) -> Option<User> {
        let account = self.account(file).clone();
        let name = self.principal_name(&at.member("name"), file, &written.name, taken);
        let policies = self.policies(&at.member("policies"), &written.policies);
        let boundary = self.boundary(at, written.permissions_boundary.as_ref());
        let list = at.member("accessKeys");
        let keys: Vec<_> = written
            .access_keys
            .iter()
            .enumerate()
            .map(|(index, key)| self.access_key(&list.index(index), &key.id, &key.secret))
            .collect();
        let tags = self.tags(&at.member("tags"), &written.tags);
        let name = name?;
        Some(User {
            arn: Arn::iam(&account, &self.region, format_args!("user/{name}")),
            name,
            account,
            policies: policies?,
            permissions_boundary: boundary?,
            access_keys: keys.into_iter().collect::<Option<_>>()?,
            tags,
            place: self.place(at),
        })
    }

    fn role(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &'a document::Role,
        taken: &mut Taken,
    ) -> Option<Role> {
        let account = self.account(file).clone();
        let name = self.principal_name(&at.member("name"), file, &written.name, taken);
        let trust_policy = written
            .trust_policy
            .as_ref()
            .map(|policy| self.policy(&at.member("trustPolicy"), policy));
        let longest = self.seconds(
            &at.member("maxSessionDurationSeconds"),
            written.max_session_duration_seconds,
            &ranges::SESSION_DURATION,
            3600,
        );
        let boundary = self.boundary(at, written.permissions_boundary.as_ref());
        let policies = self.policies(&at.member("policies"), &written.policies);
        let list = at.member("accessKeys");
        let keys: Vec<_> = written
            .access_keys
            .iter()
            .enumerate()
            .map(|(index, key)| self.role_key(&list.index(index), key))
            .collect();
        let tags = self.tags(&at.member("tags"), &written.tags);
        let name = name?;
        Some(Role {
            arn: Arn::iam(&account, &self.region, format_args!("role/{name}")),
            name,
            account,
            trust_policy: super::gateway::given(trust_policy)?,
            max_session_duration: longest?,
            policies: policies?,
            permissions_boundary: boundary?,
            access_keys: keys.into_iter().collect::<Option<_>>()?,
            tags,
            place: self.place(at),
        })
    }

    #[expect(clippy::option_option, reason = "wrong, or absent")]
    fn boundary(&mut self, at: &At<'_>, written: Option<&Policy>) -> Option<Option<PolicyText>> {
        let at = at.member("permissionsBoundary");
        super::gateway::given(written.map(|policy| self.policy(&at, policy)))
    }

    fn role_key(
        &mut self,
        at: &At<'_>,
        written: &'a document::RoleAccessKey,
    ) -> Option<RoleAccessKey> {
        let key = self.access_key(at, &written.id, &written.secret);
        let session_name = written.session_name.as_deref().map(|text| {
            let at = at.member("sessionName");
            let right = self.length(&at, text, &ranges::SESSION_NAME)
                && self.principal_characters(&at, text);
            right.then_some(text)
        });
        let session_name = super::gateway::given(session_name)?
            .unwrap_or(&written.id)
            .into();
        Some(RoleAccessKey {
            key: key?,
            session_name,
        })
    }

    fn principal_name(
        &mut self,
        at: &At<'_>,
        file: usize,
        text: &str,
        taken: &mut Taken,
    ) -> Option<Box<str>> {
        if !self.length(at, text, &ranges::PRINCIPAL_NAME) || !self.principal_characters(at, text) {
            return None;
        }
        if !taken.insert((self.owner(file), text.to_ascii_lowercase())) {
            self.error(at, format!("{text:?} is taken"))
                .hint("names that differ by case only count as the same");
            return None;
        }
        Some(text.into())
    }

    /// Source: IAM API reference, `[\w+=,.@-]+`.
    pub(super) fn principal_characters(&mut self, at: &At<'_>, text: &str) -> bool {
        let right = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
        if !right {
            self.error(
                at,
                format!("`{text}` has characters that names of principals may not have"),
            )
            .hint("letters, digits and `_ + = , . @ -`");
        }
        right
    }

    fn policies(&mut self, at: &At<'_>, written: &[Policy]) -> Option<Vec<PolicyText>> {
        let policies: Vec<_> = written
            .iter()
            .enumerate()
            .map(|(index, policy)| self.policy(&at.index(index), policy))
            .collect();
        policies.into_iter().collect()
    }

    fn access_key(&mut self, at: &At<'_>, id: &'a str, secret: &SecretSource) -> Option<AccessKey> {
        let in_id = at.member("id");
        let mut right = self.length(&in_id, id, &ranges::ACCESS_KEY_ID);
        if right && !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.error(&in_id, format!("`{id}` is not the id of an access key"))
                .hint("letters, digits and underscores");
            right = false;
        }
        if right && !self.access_keys.insert(id) {
            self.error(&in_id, format!("access key `{id}` appears twice"))
                .hint("ids of access keys are unique over all accounts");
            right = false;
        }
        let secret = self.secret(&at.member("secret"), secret)?;
        right.then(|| AccessKey {
            id: id.into(),
            secret,
        })
    }
}
