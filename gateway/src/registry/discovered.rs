//! Groups whose targets are found by a name: the configured group, what is known of the name, and the group that comes of both.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use trellis_model::{
    config::{Discovery, Target, TargetGroup},
    id::TargetGroupId,
};
use trellis_target_groups::{TargetStatus, Use};

use super::{Change, Groups, Registry, of_group};
use crate::{discovery::admits, stickiness::Cookies};

/// What became of a question for a name.
#[derive(Debug)]
pub struct News<'a> {
    /// The addresses of the targets from now on; `None` when they stay.
    pub addresses: Option<&'a [IpAddr]>,
    /// Why there is no answer.
    pub error: Option<String>,
    /// When the next question is asked.
    pub next: Instant,
}

/// What [`Registry::discovered`] made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// How many targets the group has.
    pub count: usize,
    /// Are they others than before?
    pub changed: bool,
}

/// Where the discovery of a group's targets stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The name, and what is made of its answers.
    pub of: Discovery,
    /// How many targets came of it.
    pub targets: usize,
    /// When an answer came last, if ever.
    pub answered: Option<Instant>,
    /// Why the last question had no answer, if it had none.
    pub error: Option<Arc<str>>,
    /// When the next question is asked, once that is known.
    pub next: Option<Instant>,
}

/// A group whose targets are found by a name.
#[derive(Debug)]
pub(super) struct Discovered {
    config: Arc<TargetGroup>,
    usage: Use,
    addresses: Vec<IpAddr>,
    standing: Standing,
    /// The cookies of the running snapshot, which are to know every target.
    cookies: Option<Arc<Cookies>>,
}

impl Discovered {
    /// The group with its targets.
    fn effective(&self) -> TargetGroup {
        let targets = self.addresses.iter().map(|address| {
            let port = self.standing.of.port;
            Target::new(&address.to_string(), SocketAddr::new(*address, port))
        });
        TargetGroup {
            targets: targets.collect(),
            ..TargetGroup::clone(&self.config)
        }
    }
}

/// Addresses that were found before the configuration that names them was taken over.
pub(super) type Seeds = HashMap<TargetGroupId, Vec<IpAddr>>;

/// The group as it is with other targets, and what that changed.
type Replaced = (TargetGroup, Vec<Change>);

impl Groups {
    /// A group of a configuration; one that finds its targets by a name with the targets that are known.
    ///
    /// A name that was not asked for yet, or has no answer, leaves the group the targets that it has, be they from another name or from a
    /// list, as far as they may be targets of the new one: nobody says that they are not. They leave with the first answer.
    pub(super) fn effective(
        &mut self,
        config: &Arc<TargetGroup>,
        usage: Use,
        seed: Vec<IpAddr>,
    ) -> Arc<TargetGroup> {
        let known = self.discovered.remove(&config.id);
        let Some(of) = &config.discovery else {
            return Arc::clone(config);
        };
        let known = known.filter(|known| known.config.vpc == config.vpc);
        let discovered = self.discovered_as((config, usage), of, known, seed);
        let effective = Arc::new(discovered.effective());
        self.discovered.insert(config.id, discovered);
        effective
    }

    fn discovered_as(
        &self,
        (config, usage): (&Arc<TargetGroup>, Use),
        of: &Discovery,
        known: Option<Discovered>,
        seed: Vec<IpAddr>,
    ) -> Discovered {
        let fresh = Standing {
            of: of.clone(),
            targets: 0,
            answered: None,
            error: None,
            next: None,
        };
        let (mut addresses, mut standing) = match known {
            Some(known) if known.standing.of == *of => (known.addresses, known.standing),
            _ if !seed.is_empty() => (seed, fresh),
            Some(known) => (known.addresses, fresh),
            None => (self.registered(config), fresh),
        };
        addresses.retain(|address| admits(&of.within, *address));
        standing.targets = addresses.len();
        Discovered {
            config: Arc::clone(config),
            usage,
            addresses,
            standing,
            cookies: None,
        }
    }

    /// The addresses of the targets that the group has from a list, if they live in the same VPC.
    fn registered(&self, config: &TargetGroup) -> Vec<IpAddr> {
        let Some(group) = self.current.get(&config.id) else {
            return Vec::new();
        };
        if group.vpc() != config.vpc {
            return Vec::new();
        }
        let registered = group.view().into_iter();
        let mut addresses: Vec<IpAddr> = registered
            .filter(|target| target.status != TargetStatus::Draining)
            .map(|target| target.address.ip())
            .collect();
        addresses.dedup();
        addresses
    }

    fn take_news(
        &mut self,
        id: TargetGroupId,
        of: &Discovery,
        news: &News<'_>,
        now: Instant,
    ) -> Option<(Outcome, Option<Replaced>)> {
        let discovered = self.discovered.get_mut(&id)?;
        let group = Arc::clone(self.current.get(&id)?);
        let standing = &mut discovered.standing;
        if standing.of != *of {
            return None;
        }
        standing.next = Some(news.next);
        standing.error = news.error.as_deref().map(Into::into);
        if news.error.is_none() {
            standing.answered = Some(now);
        }
        let found = news
            .addresses
            .filter(|found| **found != *discovered.addresses);
        let Some(addresses) = found else {
            let count = standing.targets;
            let changed = false;
            return Some((Outcome { count, changed }, None));
        };
        let count = addresses.len();
        standing.targets = count;
        discovered.addresses = addresses.to_vec();
        let effective = discovered.effective();
        if let Some(cookies) = &discovered.cookies {
            cookies.know(&effective.targets);
        }
        let news = group.apply(&effective, discovered.usage, now);
        let news = of_group(&group, news).collect();
        self.note_restless(&effective, &group, now);
        let changed = true;
        Some((Outcome { count, changed }, Some((effective, news))))
    }
}

impl Registry {
    /// Gives new groups the addresses that were found ahead. Goes before [`Self::apply`], which takes them.
    pub fn seed(&self, found: impl Iterator<Item = (TargetGroupId, Vec<IpAddr>)>) {
        *self.seeds.lock() = found.collect();
    }

    /// Takes over what became of the question for a group's name. `None` when the group has another name by now, or none.
    ///
    /// Targets come and go as with a change of the documents, and in the same live group, so that requests of every snapshot see it. A
    /// group that loses its last target this way has nobody for them: DNS says so.
    pub fn discovered(
        &self,
        id: TargetGroupId,
        of: &Discovery,
        news: &News<'_>,
        now: Instant,
    ) -> Option<Outcome> {
        let (outcome, replaced) = self.groups.lock().take_news(id, of, news, now)?;
        if let Some((effective, changes)) = replaced {
            self.pools.follow(&effective);
            self.news.lock().insert(id);
            self.report(&changes);
            self.generation
                .send_modify(|count| *count = count.wrapping_add(1));
        }
        Some(outcome)
    }

    /// Lets cookies know the targets of a group that are found by a name, now and later.
    pub fn tell_cookies(&self, id: TargetGroupId, cookies: &Arc<Cookies>) {
        let mut groups = self.groups.lock();
        if let Some(discovered) = groups.discovered.get_mut(&id) {
            cookies.know(&discovered.effective().targets);
            discovered.cookies = Some(Arc::clone(cookies));
        }
    }

    /// Where the discovery of each group stands that has one.
    pub fn standings(&self) -> HashMap<TargetGroupId, Standing> {
        let groups = self.groups.lock();
        let standings = groups.discovered.iter();
        standings
            .map(|(id, discovered)| (*id, discovered.standing.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests;
