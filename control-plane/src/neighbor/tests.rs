//! Calls of neighbors without signatures and sockets.

use super::{Api, Refusal, Visit};
use crate::{
    lattice::{Premises, tests::World},
    realm::RANDOM_BYTES,
    resource::Stamp,
};

/// Who calls, and what the caller's policies deny.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor<'a> {
    pub(crate) account: &'a str,
    pub(crate) user: Option<&'a str>,
    /// Actions, each perhaps with the resource that it is denied for: `iam:GetUser`, `ram:TagResource arn:…`.
    pub(crate) denied: &'a [&'a str],
}

impl<'a> Visitor<'a> {
    /// Somebody of an account who may do anything.
    pub(crate) fn of(account: &'a str) -> Self {
        Self {
            account,
            user: None,
            denied: &[],
        }
    }

    /// The same without permission for these.
    pub(crate) fn without(self, denied: &'a [&'a str]) -> Self {
        Self { denied, ..self }
    }

    /// Performs an operation.
    pub(crate) fn ask<A: Api>(
        self,
        world: &World,
        operation: &'static str,
        input: &A::Input,
    ) -> Result<String, Refusal> {
        world.pass(std::time::Duration::from_millis(1));
        let draw = || {
            world.drawn.set(world.drawn.get() + 1);
            world.drawn.get()
        };
        let account = self.account.parse().unwrap();
        let seed = u8::try_from(draw() % 251).unwrap() + 1;
        let random = [seed; RANDOM_BYTES];
        let gate = |ask: super::Ask<'_>| {
            let pair = format!("{} {}", ask.action, ask.resource);
            match self
                .denied
                .iter()
                .find(|one| **one == ask.action || **one == pair)
            {
                Some(one) => Err(format!("not allowed: {one}")),
                None => Ok(()),
            }
        };
        A::perform(
            operation,
            input,
            &Visit {
                premises: Premises {
                    plane: &world.plane,
                    live: &world.live,
                    quotas: &world.quotas,
                    auth_policy_bytes: 10_240,
                    throttle: &world.throttle,
                },
                account: &account,
                user: self.user,
                now: Stamp::of(world.now.get()),
                id: "id",
                draw: &draw,
                random: Some(&random),
                gate: &gate,
            },
        )
    }
}

/// The code and the text of a refusal, as the caller gets them.
pub(crate) fn told<A: Api>(refusal: &Refusal) -> (String, String) {
    let told = A::DIALECT.tell(refusal, "id");
    (told.code.to_owned(), told.body)
}

/// Asserts that a call is refused with a code.
pub(crate) fn assert_refused<A: Api>(answer: Result<String, Refusal>, code: &str) {
    match answer {
        Ok(answer) => panic!("answered {answer} in place of {code}"),
        Err(refusal) => {
            let told = told::<A>(&refusal);
            assert_eq!(told.0, code, "{}", told.1);
        }
    }
}
