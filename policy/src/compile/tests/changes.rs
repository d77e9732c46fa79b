//! Policies that follow others decide as if they had been compiled alone, whatever changed in between.

use proptest::prelude::*;
use trellis_model::{
    config::{AuthPolicyMode, AuthType, Difference, PolicyText},
    name::AccountId,
};

use super::*;
use crate::{
    Action, Refusal, Request, compile_after,
    world::{AUDITOR, CALLERS, CHECKOUT, Call, config, statement},
};

const ANYBODY: &str =
    r#""Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*""#;
const SIGNED: &str =
    r#""Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*""#;
const GETS: &str = r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}"#;
const NO_CHECKOUT: &str = r#""Sid":"NoCheckout","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:user/checkout"},"Action":"*","Resource":"*""#;
const PROD: &str = r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/env":"prod"}}"#;
const WEB: &str = r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"web"}}"#;
const OWN: &str = r#""Effect":"Allow","Action":"*","Resource":"*""#;
const OWN_POSTS: &str = r#""Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"POST"}}"#;

/// Something that an administrator does. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Guard(bool, usize, usize),
    Mode(bool, usize, bool),
    Shadow(bool, usize, usize),
    Tag(usize, bool),
    OfPrincipal(bool, usize, usize),
    Boundary(usize, usize),
    PrincipalTag(usize, bool),
    Swap(bool),
    Drop(usize),
    Restore(usize),
    Nothing,
    /// Made anew with the same content.
    Rewrite,
    Organization,
}

fn guards() -> Vec<(AuthType, Option<PolicyText>)> {
    let with = |text: &str| (AuthType::AwsIam, Some(policy(text)));
    vec![
        (AuthType::None, None),
        (AuthType::AwsIam, None),
        with(&statement(ANYBODY)),
        with(&statement(SIGNED)),
        with(&statement(GETS)),
        with(&statement(&format!("{ANYBODY}}},{{{NO_CHECKOUT}"))),
        with(&statement(PROD)),
        with(&statement(WEB)),
        with("permit (principal, action, resource) when { context.port == 8080 };"),
        (AuthType::None, Some(policy(&statement(NO_CHECKOUT)))),
    ]
}

fn own() -> Vec<Vec<PolicyText>> {
    vec![
        vec![],
        vec![policy(&statement(OWN))],
        vec![policy(&statement(OWN_POSTS))],
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let number = || 0..usize::MAX;
    prop_oneof![
        4 => (any::<bool>(), number(), number()).prop_map(|(n, which, what)| Step::Guard(n, which, what)),
        1 => (any::<bool>(), number(), any::<bool>()).prop_map(|(n, which, what)| Step::Mode(n, which, what)),
        1 => (any::<bool>(), number(), number()).prop_map(|(n, which, what)| Step::Shadow(n, which, what)),
        1 => (number(), any::<bool>()).prop_map(|(which, what)| Step::Tag(which, what)),
        2 => (any::<bool>(), number(), number()).prop_map(|(u, which, what)| Step::OfPrincipal(u, which, what)),
        1 => (number(), number()).prop_map(|(which, what)| Step::Boundary(which, what)),
        1 => (number(), any::<bool>()).prop_map(|(which, what)| Step::PrincipalTag(which, what)),
        1 => any::<bool>().prop_map(Step::Swap),
        1 => number().prop_map(Step::Drop),
        2 => number().prop_map(Step::Restore),
        1 => Just(Step::Nothing),
        1 => Just(Step::Rewrite),
        1 => Just(Step::Organization),
    ]
}

fn pick<T>(list: &mut [T], number: usize) -> Option<&mut T> {
    let length = list.len();
    list.get_mut(number.checked_rem(length)?)
}

fn choose<T>(mut list: Vec<T>, number: usize) -> T {
    list.swap_remove(number % list.len())
}

/// Each of the four kinds may lose one of its own, and gets it back at the other end.
fn drop_or_restore(config: &mut Config, number: usize, whole: Option<&Config>) {
    fn change<T>(
        list: &mut Vec<Arc<T>>,
        whole: Option<&Vec<Arc<T>>>,
        same: impl Fn(&T, &T) -> bool,
    ) {
        match whole {
            None if list.len() > 1 => _ = list.pop(),
            None => {}
            Some(whole) => {
                let missing = whole
                    .iter()
                    .find(|one| !list.iter().any(|known| same(known, one)));
                let missing = missing.cloned();
                list.splice(0..0, missing);
            }
        }
    }
    match number % 3 {
        0 => change(&mut config.services, whole.map(|w| &w.services), |a, b| {
            a.id == b.id
        }),
        1 => change(&mut config.users, whole.map(|w| &w.users), |a, b| {
            a.arn == b.arn
        }),
        _ => change(&mut config.roles, whole.map(|w| &w.roles), |a, b| {
            a.arn == b.arn
        }),
    }
}

/// Changes the mode or the candidate of a network or service.
fn rehearse(
    config: &mut Config,
    (of_network, which): (bool, usize),
    change: impl FnOnce(&mut AuthPolicyMode, &mut Option<PolicyText>),
) {
    if of_network {
        let network = Arc::make_mut(pick(&mut config.service_networks, which).unwrap());
        change(
            &mut network.auth_policy_mode,
            &mut network.shadow_auth_policy,
        );
    } else {
        let service = Arc::make_mut(pick(&mut config.services, which).unwrap());
        change(
            &mut service.auth_policy_mode,
            &mut service.shadow_auth_policy,
        );
    }
}

fn take(config: &mut Config, step: &Step, whole: &Config) {
    match *step {
        Step::Guard(true, which, what) => {
            let network = Arc::make_mut(pick(&mut config.service_networks, which).unwrap());
            (network.auth_type, network.auth_policy) = choose(guards(), what);
        }
        Step::Guard(false, which, what) => {
            let service = Arc::make_mut(pick(&mut config.services, which).unwrap());
            (service.auth_type, service.auth_policy) = choose(guards(), what);
        }
        Step::Mode(of_network, which, audit) => {
            let mode = if audit {
                AuthPolicyMode::Audit
            } else {
                AuthPolicyMode::Enforce
            };
            rehearse(config, (of_network, which), |of, _| *of = mode);
        }
        Step::Shadow(of_network, which, what) => {
            let (_, shadow) = choose(guards(), what);
            rehearse(config, (of_network, which), |_, of| *of = shadow);
        }
        Step::Tag(which, prod) => {
            let service = Arc::make_mut(pick(&mut config.services, which).unwrap());
            service.tags = [(
                "Env".to_owned(),
                if prod { "prod" } else { "test" }.to_owned(),
            )]
            .into();
        }
        Step::OfPrincipal(true, which, what) => {
            let user = pick(&mut config.users, which).unwrap();
            Arc::make_mut(user).policies = choose(own(), what);
        }
        Step::OfPrincipal(false, which, what) => {
            let role = pick(&mut config.roles, which).unwrap();
            Arc::make_mut(role).policies = choose(own(), what);
        }
        Step::Boundary(which, what) => {
            let user = pick(&mut config.users, which).unwrap();
            Arc::make_mut(user).permissions_boundary = choose(own(), what).pop();
        }
        Step::PrincipalTag(which, web) => {
            let user = Arc::make_mut(pick(&mut config.users, which).unwrap());
            user.tags = [(
                "Team".to_owned(),
                if web { "web" } else { "ops" }.to_owned(),
            )]
            .into();
        }
        Step::Swap(of_services) => {
            if of_services {
                config.services.reverse();
            } else {
                config.users.reverse();
                config.roles.reverse();
            }
        }
        Step::Drop(number) => drop_or_restore(config, number, None),
        Step::Restore(number) => drop_or_restore(config, number, Some(whole)),
        Step::Nothing => {}
        Step::Rewrite => {
            for service in &mut config.services {
                *service = Arc::new((**service).clone());
            }
            for user in &mut config.users {
                *user = Arc::new((**user).clone());
            }
        }
        Step::Organization => {
            let account: AccountId = "111122223333".parse().unwrap();
            if config.organizations.remove(&account).is_none() {
                config.organizations.clone_from(&whole.organizations);
            }
        }
    }
}

/// All that can be decided: what is enforced, and what is rehearsed.
type Decisions = Vec<(Result<(), Refusal>, Option<Result<(), Refusal>>)>;

fn decisions(config: &Config, policies: &Policies) -> Decisions {
    let mut decisions = Vec::new();
    let mut decide = |request: &Request<'_>| {
        let first = policies.authorize(request).map(drop);
        assert_eq!(first, policies.authorize(request).map(drop));
        decisions.push((first, policies.rehearse(request)));
    };
    let known =
        |caller: &&str| *caller == "anonymous" || policies.principal_by_arn(caller).is_some();
    for caller in CALLERS.into_iter().filter(known) {
        for line in ["GET /a", "POST /a"] {
            for action in [Action::Invoke, Action::Connect] {
                let call = Call {
                    action,
                    ..Call::by(caller).line(line)
                };
                for service in &config.services {
                    // The call is to the first service of the world, which may be gone.
                    call.with_service(policies, service.id, &mut decide);
                }
            }
        }
    }
    decisions
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn changed_policies_decide_like_new_ones(steps in proptest::collection::vec(step(), 1..12)) {
        let whole = config();
        let mut running = (whole.clone(), compile(&whole).unwrap());
        for step in steps {
            let mut config = running.0.clone();
            take(&mut config, &step, &whole);
            let difference = Difference::between(Some(&running.0), &config);
            let after = compile_after(&config, Some((&running.1, &difference))).unwrap();
            let alone = compile(&config).unwrap();
            prop_assert_eq!(decisions(&config, &after), decisions(&config, &alone), "{:?}", step);
            for (position, service) in config.services.iter().enumerate() {
                let index = u32::try_from(position).unwrap();
                prop_assert_eq!(after.service(service.id), Some(ServiceIndex(index)));
                prop_assert_eq!(after.service_at(index), Some(ServiceIndex(index)));
            }
            let arns = |policies: &Policies| -> Vec<Box<str>> {
                let indexes = (0..policies.principals()).map(|at| PrincipalIndex(index(at)));
                indexes.map(|at| policies.principal(at).unwrap().arn.clone()).collect()
            };
            prop_assert_eq!(arns(&after), arns(&alone));
            running = (config, after);
        }
    }
}

/// What follows `before`, with one change.
fn after(before: &(Config, Policies), change: impl FnOnce(&mut Config)) -> (Config, Policies) {
    let mut config = before.0.clone();
    change(&mut config);
    let difference = Difference::between(Some(&before.0), &config);
    let policies = compile_after(&config, Some((&before.1, &difference))).unwrap();
    (config, policies)
}

fn begin() -> (Config, Policies) {
    let text = statement(GETS);
    let config = config_with(
        Given::None,
        Given::Policy(&text),
        Given::Policy(&statement(OWN)),
    );
    let policies = compile(&config).unwrap();
    (config, policies)
}

#[test]
fn whatever_is_the_same_is_not_compiled_again() {
    let before = begin();
    let other = statement(ANYBODY);
    let (_, policies) = after(&before, |config| {
        Arc::make_mut(&mut config.services[1]).auth_policy = Some(policy(&other));
    });
    assert!(Arc::ptr_eq(&before.1.services[0], &policies.services[0]));
    assert!(!Arc::ptr_eq(&before.1.services[1], &policies.services[1]));
    assert!(Arc::ptr_eq(&before.1.networks[0], &policies.networks[0]));
    assert!(policies.has_callers_of(&before.1));
    // A user that changes leaves the others alone.
    let (_, policies) = after(&before, |config| {
        Arc::make_mut(&mut config.users[0]).policies.clear();
    });
    assert!(!policies.has_callers_of(&before.1));
    let shared = |arn: &str| {
        let find = |policies: &Policies| {
            let index = policies.principal_by_arn(arn).unwrap();
            Arc::clone(&policies.callers.principals[index.0 as usize])
        };
        Arc::ptr_eq(&find(&before.1), &find(&policies))
    };
    assert!(!shared(CHECKOUT) && shared(AUDITOR));
}

#[test]
fn a_known_text_is_the_same_layer_and_a_forgotten_one_leaves_nothing() {
    let mut running = begin();
    let layer = |policies: &Policies| Arc::clone(policies.services[0].layer.as_ref().unwrap());
    let first = layer(&running.1);
    // Written anew, as by a file that was read again.
    running = after(&running, |config| {
        let text = statement(GETS);
        Arc::make_mut(&mut config.services[0]).auth_policy = Some(policy(&text));
    });
    assert!(Arc::ptr_eq(&first, &layer(&running.1)));
    let gone = Arc::downgrade(&first);
    drop(first);
    for number in 0..5_000 {
        let resource = format!("\"Resource\":\"*/{number}\"");
        let text = statement(&ANYBODY.replace("\"Resource\":\"*\"", &resource));
        running = after(&running, |config| {
            Arc::make_mut(&mut config.services[0]).auth_policy = Some(policy(&text));
        });
        // Somebody calls, so that there is something to remember.
        Call::by(CHECKOUT).ask_twice(&running.1).ok();
    }
    assert!(gone.upgrade().is_none());
    assert!(
        running.1.library.len() < 2_100,
        "{}",
        running.1.library.len()
    );
    assert!(
        running.1.memory.views() < 200,
        "{}",
        running.1.memory.views()
    );
}

#[test]
fn what_was_decided_is_remembered_until_it_may_be_decided_otherwise() {
    let mut running = begin();
    let misses = |policies: &Policies| policies.decision_lookups().misses;
    Call::by(CHECKOUT).ask_twice(&running.1).unwrap();
    let first = misses(&running.1);
    assert!(first > 0);
    running = after(&running, |config| {
        Arc::make_mut(&mut config.services[1]).auth_type = AuthType::AwsIam;
    });
    Call::by(CHECKOUT).ask_twice(&running.1).unwrap();
    assert_eq!(misses(&running.1), first);
    // The same policy on a service with another tag may say something else.
    running = after(&running, |config| {
        Arc::make_mut(&mut config.services[0]).tags.clear();
    });
    Call::by(CHECKOUT).ask_twice(&running.1).unwrap();
    assert_eq!(misses(&running.1), first + 1);
}

#[test]
fn only_what_is_new_is_reported_and_all_that_is_wrong_refuses() {
    let odd = statement(&ANYBODY.replace("svcs:Invoke", "svcs:Invke"));
    let before = begin();
    let with_odd = after(&before, |config| {
        Arc::make_mut(&mut config.services[0]).auth_policy = Some(policy(&odd));
    });
    assert_eq!(with_odd.1.warnings().len(), 1);
    let (_, policies) = after(&with_odd, |config| {
        Arc::make_mut(&mut config.services[1]).auth_type = AuthType::AwsIam;
    });
    assert_eq!(policies.warnings(), []);
    // The same text elsewhere is reported there.
    let (_, policies) = after(&with_odd, |config| {
        Arc::make_mut(&mut config.services[1]).auth_policy = Some(policy(&odd));
    });
    assert_eq!(policies.warnings().len(), 1);
    let mut config = with_odd.0.clone();
    Arc::make_mut(&mut config.services[1]).auth_policy = Some(policy("{"));
    let difference = Difference::between(Some(&with_odd.0), &config);
    assert!(compile_after(&config, Some((&with_odd.1, &difference))).is_err());
}

/// Who can sign decides whether a policy names somebody who cannot; the text is the same.
#[test]
fn a_principal_that_is_gone_is_missed_where_its_name_is_written_next() {
    let names = statement(NO_CHECKOUT);
    let before = begin();
    let (_, policies) = after(&before, |config| {
        Arc::make_mut(&mut config.services[0]).auth_policy = Some(policy(&names));
    });
    assert_eq!(policies.warnings(), []);
    let without = after(&before, |config| {
        config.users.retain(|user| &*user.name != "checkout");
    });
    let (_, policies) = after(&without, |config| {
        Arc::make_mut(&mut config.services[0]).auth_policy = Some(policy(&names));
    });
    assert_eq!(policies.warnings().len(), 1);
}
