//! One call while it is performed.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use trellis_model::{
    config::Vpc,
    id::{TargetGroupId, VpcId},
    name::{AccountId, Region},
};

use super::{
    Premises,
    arns::{self, Named},
    error::{ApiError, ResourceType},
    schema::Operation,
    token,
};
use crate::{
    catalog::{Catalog, Entry},
    plane::{ControlPlane, Draft},
    resource::{Resource, Stamp},
};

/// One call while it is performed: what was asked, by whom, and what it is answered with.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub(crate) operation: &'a Operation,
    /// The input: valid as far as the model says what is.
    pub(crate) input: &'a Map<String, Value>,
    pub(crate) premises: Premises<'a>,
    /// The caller's account.
    pub(crate) account: &'a AccountId,
    pub(crate) now: Stamp,
    /// Draws a random number.
    pub(crate) draw: &'a dyn Fn() -> u64,
}

/// How a target does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetHealth {
    /// `HEALTHY`, `UNHEALTHY`, …
    pub status: &'static str,
    /// Why, unless it is healthy.
    pub reason: Option<&'static str>,
}

/// Knows how targets do.
pub trait LiveTargets: Send + Sync + fmt::Debug {
    /// The targets that the data plane has of a group, with id and port, those that drain included.
    fn targets(&self, group: TargetGroupId) -> Vec<(String, Option<u16>, TargetHealth)>;
}

/// Bits of an id that are drawn; those above count milliseconds.
const DRAWN_BITS: u32 = 20;

impl<'a> Exchange<'a> {
    /// All resources.
    pub(crate) fn plane(&self) -> &'a ControlPlane {
        self.premises.plane
    }

    /// The region.
    pub(crate) fn region(&self) -> &'a Region {
        self.premises.plane.region()
    }

    /// The input as a type of its own.
    ///
    /// # Errors
    ///
    /// It was checked against the model, but the type says more: an id may have any letter there, and hex digits only here.
    pub(crate) fn input<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let input = Value::Object(self.input.clone());
        serde_json::from_value(input).map_err(|error| ApiError::invalid(error.to_string()))
    }

    /// A text of the input; the model says that it is there.
    pub(crate) fn text(&self, name: &str) -> &'a str {
        self.optional_text(name).unwrap_or_default()
    }

    /// A text of the input, if it is there.
    pub(crate) fn optional_text(&self, name: &str) -> Option<&'a str> {
        self.input.get(name).and_then(Value::as_str)
    }

    /// A number for a new id: the later, the larger, so ids sort by creation.
    pub(crate) fn fresh_number(&self) -> u64 {
        fresh_number(self.now, self.draw)
    }

    /// Makes a change, and answers with what `make` returns.
    pub(crate) fn change(
        &self,
        make: impl Fn(&mut Draft<'_>) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        self.plane().change(make)
    }

    /// Creates something: like [`Exchange::change`], but a call with a token that was seen before is answered as it was then.
    pub(crate) fn create(
        &self,
        make: impl Fn(&mut Draft<'_>) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        let Some(given) = self.optional_text("clientToken") else {
            return self.change(make);
        };
        let token = token::Token::new(self, given);
        self.plane().change(|draft| {
            if let Some(answer) = token.replay(self.plane().store(), self.now)? {
                return Ok(answer);
            }
            let answer = make(draft)?;
            token.remember(draft, &answer, self.now)?;
            Ok(answer)
        })
    }

    /// Is this call to create something?
    pub(crate) fn creates(&self) -> bool {
        self.operation.name.starts_with("Create")
    }

    /// Does the caller own this?
    pub(crate) fn owns<T: Resource>(&self, entry: &Entry<T>) -> bool {
        entry.value.account() == self.account
    }

    /// May the caller know of this: is it the caller's own, or shared with the caller?
    pub(crate) fn sees<T: Resource>(&self, entry: &Entry<T>) -> bool {
        self.owns(entry) || entry.value.guests().contains(self.account)
    }

    /// A VPC of the caller's own. A VPC that is somebody else's looks like one that is not there.
    pub(crate) fn own_vpc<'c>(
        &self,
        catalog: &'c Catalog,
        id: &VpcId,
    ) -> Result<&'c Vpc, ApiError> {
        catalog
            .vpc(id)
            .filter(|vpc| vpc.account == *self.account)
            .ok_or_else(|| ApiError::not_found(ResourceType::Vpc, id))
    }

    /// A resource of the caller's own, by id or ARN.
    ///
    /// # Errors
    ///
    /// It is not there, or somebody else's, which look the same. What is shared with the caller is there and cannot be changed.
    pub(crate) fn own<'c, T: Named>(
        &self,
        catalog: &'c Catalog,
        identifier: &str,
    ) -> Result<&'c Entry<T>, ApiError> {
        let entry = self.visible(catalog, identifier)?;
        if self.owns(entry) {
            return Ok(entry);
        }
        Err(ApiError::AccessDenied(format!(
            "{} {} is shared with this account and cannot be changed by it",
            T::TYPE.noun(),
            entry.value.id()
        )))
    }

    /// A resource of the caller's own or shared with the caller, by id or ARN.
    ///
    /// # Errors
    ///
    /// It is not there, or the caller may not know of it, which look the same.
    pub(crate) fn visible<'c, T: Named>(
        &self,
        catalog: &'c Catalog,
        identifier: &str,
    ) -> Result<&'c Entry<T>, ApiError> {
        self.find(catalog, identifier, |entry| self.sees(entry))
    }

    /// A resource by id or ARN, if `known` says that the caller may know of it.
    ///
    /// An ARN must be the resource's own, letter by letter: policies were asked about the ARN as it was given.
    pub(crate) fn find<'c, T: Named>(
        &self,
        catalog: &'c Catalog,
        identifier: &str,
        known: impl Fn(&Entry<T>) -> bool,
    ) -> Result<&'c Entry<T>, ApiError> {
        let id = arns::id_of(identifier);
        let found = id.parse().ok().and_then(|id| catalog.find::<T>(id));
        let named = |entry: &Entry<T>| {
            !identifier.starts_with("arn:") || entry.value.arn(self.region()).as_str() == identifier
        };
        found
            .filter(|entry| known(entry) && named(entry))
            .ok_or_else(|| ApiError::not_found(T::TYPE, id))
    }
}

/// A number for a new id at this time.
pub(crate) fn fresh_number(now: Stamp, draw: &dyn Fn() -> u64) -> u64 {
    now.millis() << DRAWN_BITS | draw() & ((1 << DRAWN_BITS) - 1)
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("operation", &self.operation.name)
            .field("account", self.account)
            .finish_non_exhaustive()
    }
}
