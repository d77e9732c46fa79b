//! `AssumeRole`.

use std::time::Duration;

use trellis_policy::{
    calls::{AssumableRole, CallBy, CallContext},
    session::{Bearer, Session},
};

use super::{
    SignedBy, Trace,
    credentials::{Draft, issue},
    error::{Code, Fault},
    request::{Given, Tags, packed_size},
};
use crate::{call::Call, realm::Realm, xml::Xml};

/// Life of a session when nothing is said, and the longest of one that was assumed from another session.
const HOUR: Duration = Duration::from_secs(3600);

/// Longest life that can be asked for. Source: STS API reference, `AssumeRole`, `DurationSeconds`.
const LONGEST: u64 = 43_200;

/// What a caller wants of a role.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) role_arn: &'a str,
    pub(super) session_name: &'a str,
    pub(super) duration: Option<Duration>,
    pub(super) policy: Option<Box<str>>,
    pub(super) tags: Tags,
    pub(super) source_identity: Option<Box<str>>,
}

impl<'a> Wish<'a> {
    pub(super) fn read(given: Given<'a>, tags: Tags) -> Result<Self, Fault> {
        Ok(Self {
            role_arn: given.role_arn()?,
            session_name: given.session_name()?,
            duration: given.duration(&(900..=LONGEST))?,
            policy: given.policy()?,
            tags,
            source_identity: given.source_identity()?.map(Into::into),
        })
    }

    /// The life of the session.
    pub(super) fn life(&self, role: &AssumableRole, chained: bool) -> Result<Duration, Fault> {
        let life = self.duration.unwrap_or(HOUR);
        if life > role.longest {
            return Err(Fault::new(
                Code::ValidationError,
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }
        if chained && life > HOUR {
            return Err(Fault::new(
                Code::ValidationError,
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
            ));
        }
        Ok(life)
    }

    /// The keys that policies can ask for, whoever calls.
    ///
    /// Source: IAM user guide, "Available keys for AWS STS".
    pub(super) fn context(
        &self,
        role: Option<&AssumableRole>,
        call: &Call,
        realm: &Realm<'_>,
    ) -> CallContext {
        let mut context = CallContext::new(call.at, call.source, false);
        let text = |text: &str| [text.to_owned()];
        context.set("aws:RequestedRegion", text(realm.region.as_str()));
        context.set("sts:RoleSessionName", text(self.session_name));
        context.set(
            "sts:SourceIdentity",
            self.source_identity.as_deref().map(str::to_owned),
        );
        context.set("aws:TagKeys", self.tags.tags.keys().cloned());
        context.set(
            "sts:TransitiveTagKeys",
            self.tags.transitive.iter().cloned(),
        );
        for (key, value) in &self.tags.tags {
            context.set(&format!("aws:RequestTag/{key}"), text(value));
        }
        for (key, value) in role.into_iter().flat_map(|role| &role.tags) {
            context.set(&format!("aws:ResourceTag/{key}"), text(value));
            context.set(&format!("iam:ResourceTag/{key}"), text(value));
        }
        context
    }

    /// What has to be allowed besides assuming the role.
    pub(super) fn further_actions(&self) -> impl Iterator<Item = &'static str> {
        let tags = (!self.tags.tags.is_empty()).then_some("sts:TagSession");
        let identity = self
            .source_identity
            .as_ref()
            .map(|_| "sts:SetSourceIdentity");
        tags.into_iter().chain(identity)
    }
}

pub(super) fn assume(
    given: Given<'_>,
    caller: &SignedBy,
    call: &Call,
    realm: &Realm<'_>,
    trace: &mut Trace,
) -> Result<String, Fault> {
    given.no_device()?;
    let external_id = given.external_id()?;
    let mut wish = Wish::read(given, given.tags()?)?;
    trace.role = Some(super::error::shown(wish.role_arn));
    let percent = packed_size(wish.policy.as_deref(), &wish.tags)?;
    inherit_identity(&mut wish, caller)?;
    let role = realm.policies.calls().role(wish.role_arn);
    let mut context = wish.context(role, call, realm);
    context.describe(&caller.principal);
    context.set("sts:ExternalId", external_id.map(str::to_owned));
    let session_policies = caller
        .session
        .as_ref()
        .map_or(&[][..], |session| &session.policies);
    let by = CallBy::Principal {
        principal: &caller.principal,
        session_policies,
    };
    let denied = |action: &str| {
        Fault::new(
            Code::AccessDenied,
            format!(
                "User: {} is not authorized to perform: {action} on resource: {}",
                caller.principal.arn, wish.role_arn
            ),
        )
    };
    let Some(role) = role else {
        return Err(denied("sts:AssumeRole").because("there is no such role"));
    };
    for action in std::iter::once("sts:AssumeRole").chain(wish.further_actions()) {
        realm
            .policies
            .calls()
            .may_assume(role, by, action, &context)
            .map_err(|refusal| denied(action).because(refusal))?;
    }
    let chained = caller
        .session
        .as_ref()
        .filter(|session| is_of_role(session));
    let life = wish.life(role, caller.principal.user_name().is_none())?;
    inherit_tags(&mut wish, chained)?;
    let granted = Granted {
        role,
        wish,
        life,
        percent,
        federated_provider: None,
    };
    granted.begin("AssumeRoleResult", call, realm, trace, &[])
}

fn is_of_role(session: &Session) -> bool {
    matches!(session.bearer, Bearer::Role { .. })
}

/// A source identity stays what it is through all sessions.
fn inherit_identity(wish: &mut Wish<'_>, caller: &SignedBy) -> Result<(), Fault> {
    let Some(before) = &caller.principal.source_identity else {
        return Ok(());
    };
    if wish
        .source_identity
        .as_ref()
        .is_some_and(|wanted| wanted != before)
    {
        return Err(Fault::new(
            Code::AccessDenied,
            "The source identity of a session cannot be changed.",
        ));
    }
    wish.source_identity = Some(before.clone());
    Ok(())
}

/// Transitive tags of the calling session go on, and stay transitive; they cannot be replaced.
fn inherit_tags(wish: &mut Wish<'_>, caller: Option<&Session>) -> Result<(), Fault> {
    let Some(caller) = caller else {
        return Ok(());
    };
    for key in &caller.transitive {
        let Some(value) = caller.tags.get(key) else {
            continue;
        };
        let taken = |known: &String| known.to_lowercase() == key.to_lowercase();
        if wish.tags.tags.keys().any(taken) {
            return Err(Fault::new(
                Code::InvalidParameterValue,
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
            ));
        }
        wish.tags.tags.insert(key.clone(), value.clone());
        wish.tags.transitive.insert(key.clone());
    }
    Ok(())
}

/// A session that may begin.
#[derive(Debug)]
pub(super) struct Granted<'a> {
    pub(super) role: &'a AssumableRole,
    pub(super) wish: Wish<'a>,
    pub(super) life: Duration,
    /// How much of the room for a policy and tags is used.
    pub(super) percent: Option<usize>,
    pub(super) federated_provider: Option<Box<str>>,
}

impl Granted<'_> {
    /// Seals the session and writes what both operations answer, then `more`, in an element of this name.
    pub(super) fn begin(
        self,
        element: &str,
        call: &Call,
        realm: &Realm<'_>,
        trace: &mut Trace,
        more: &[(&str, &str)],
    ) -> Result<String, Fault> {
        let Self {
            role,
            wish,
            life,
            percent,
            federated_provider,
        } = self;
        let who = realm
            .policies
            .session_identity(&role.arn, wish.session_name)
            .ok_or_else(Fault::internal)?;
        let draft = Draft {
            bearer: Bearer::Role {
                arn: role.arn.clone(),
                session_name: wish.session_name.into(),
            },
            tags: wish.tags.tags,
            transitive: wish.tags.transitive,
            source_identity: wish.source_identity.clone(),
            federated_provider,
            policies: wish.policy.into_iter().collect(),
            life,
        };
        let mut inner = Xml::default();
        issue(draft, call, realm, &mut inner)?;
        inner.within("AssumedRoleUser", |xml| {
            xml.text("AssumedRoleId", &who.user_id);
            xml.text("Arn", &who.arn);
        });
        if let Some(percent) = percent {
            inner.text("PackedPolicySize", &percent.to_string());
        }
        if let Some(identity) = &wish.source_identity {
            inner.text("SourceIdentity", identity);
        }
        for (name, text) in more {
            inner.text(name, text);
        }
        trace.session = Some(who.arn.into());
        let mut xml = Xml::default();
        xml.within(element, |xml| xml.raw(&inner.finish()));
        Ok(xml.finish())
    }
}
