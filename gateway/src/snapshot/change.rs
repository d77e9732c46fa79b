//! A configuration on its way to a snapshot, beside the one that runs.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::RandomState;
use trellis_model::{
    config::{self, Action, Config, Difference},
    id::{ServiceId, TargetGroupId},
};
use trellis_target_groups::Use;

use super::Snapshot;

/// The target groups that a rule or default action names, each with its service.
///
/// Weight does not matter: a group of weight zero is about to get traffic, and is checked so that it is ready.
///
/// INVARIANT: a group serves one service.
pub(crate) type Uses = HashMap<TargetGroupId, ServiceId, RandomState>;

/// A configuration, and what it has in common with the one that runs.
///
/// What is compiled from a resource is taken over from the running snapshot where the resource is the same allocation and whatever else
/// it was compiled from is the same too. Each module says what else that is for what it compiles.
#[derive(Debug)]
pub struct Change<'a> {
    /// The configuration that will run.
    pub config: &'a Config,
    /// The one that runs, if one does.
    before: Option<(&'a Config, &'a Snapshot)>,
    difference: Difference,
    /// Is every service where it was, changed or not, so that positions say the same as before?
    services_in_place: bool,
    uses: Arc<Uses>,
    /// Groups that are named by another service than before, by one for the first time, or by none any more.
    moved: HashSet<TargetGroupId, RandomState>,
    groups: OnceCell<HashMap<TargetGroupId, usize, RandomState>>,
}

impl<'a> Change<'a> {
    /// The first configuration.
    pub fn first(config: &'a Config) -> Self {
        Self::new(config, None)
    }

    /// A configuration that follows another, which runs as this snapshot.
    pub fn after(config: &'a Config, running: (&'a Config, &'a Snapshot)) -> Self {
        Self::new(config, Some(running))
    }

    fn new(config: &'a Config, running: Option<(&'a Config, &'a Snapshot)>) -> Self {
        let difference = Difference::between(running.map(|(config, _)| config), config);
        // The names of everything have the region.
        let before = running.filter(|_| difference.same_region);
        let services_in_place = before.is_some_and(|(before, _)| {
            let same = |position: usize| {
                let id = |config: &Config| config.services.get(position).map(|service| service.id);
                id(before) == id(config)
            };
            difference.services.kept_places() && difference.services.newcomers().all(same)
        });
        let (uses, moved) = uses(config, before, &difference);
        Self {
            config,
            before,
            difference,
            services_in_place,
            uses,
            moved,
            groups: OnceCell::new(),
        }
    }

    /// What the two configurations have in common.
    pub fn difference(&self) -> &Difference {
        &self.difference
    }

    /// The running snapshot, if anything can be taken over from it.
    pub(super) fn running(&self) -> Option<&'a Snapshot> {
        self.before.map(|(_, snapshot)| snapshot)
    }

    /// The running configuration, likewise.
    pub(super) fn running_config(&self) -> Option<&'a Config> {
        self.before.map(|(config, _)| config)
    }

    /// Does every service have the position that it has in the running snapshot?
    pub(super) fn services_in_place(&self) -> bool {
        self.services_in_place
    }

    /// Who names which group.
    pub(super) fn uses(&self) -> &Arc<Uses> {
        &self.uses
    }

    /// Groups that are named by another service than before, or by none.
    pub(super) fn moved(&self) -> impl Iterator<Item = TargetGroupId> {
        self.moved.iter().copied()
    }

    /// A target group with targets, by its id.
    pub(super) fn group(&self, id: TargetGroupId) -> Option<&'a Arc<config::TargetGroup>> {
        let positions = self.groups.get_or_init(|| {
            let groups = self.config.target_groups.iter().enumerate();
            groups
                .map(|(position, group)| (group.id, position))
                .collect()
        });
        self.config.target_groups.get(*positions.get(&id)?)
    }

    /// What becomes of the live target groups.
    pub fn of_groups(&self) -> GroupChanges<'a> {
        let usage = |id: TargetGroupId| Use::of(self.uses.contains_key(&id));
        let carried = &self.difference.target_groups;
        let groups = &self.config.target_groups;
        let newcomers = carried
            .newcomers()
            .filter_map(|position| groups.get(position));
        let mut updated: Vec<_> = newcomers.map(|group| (group, usage(group.id))).collect();
        let known: HashSet<TargetGroupId, RandomState> =
            updated.iter().map(|(group, _)| group.id).collect();
        let moved = self.moved().filter(|id| !known.contains(id));
        updated.extend(moved.filter_map(|id| Some((self.group(id)?, usage(id)))));
        let Some((before, _)) = self.before else {
            return GroupChanges {
                updated,
                removed: None,
            };
        };
        let gone = carried
            .gone()
            .filter_map(|position| before.target_groups.get(position));
        let gone = gone.map(|group| group.id).filter(|id| !known.contains(id));
        GroupChanges {
            updated,
            removed: Some(gone.collect()),
        }
    }

    /// May something be gone that has an id?
    pub fn may_remove(&self) -> bool {
        let difference = &self.difference;
        let lists = [
            &difference.vpcs,
            &difference.service_networks,
            &difference.services,
            &difference.target_groups,
            &difference.function_groups,
        ];
        lists.iter().any(|list| !list.kept_places())
    }

    /// May functions have come, gone, changed, or got another use?
    pub fn touches_functions(&self) -> bool {
        let functions = &self.config.function_groups;
        !self.difference.function_groups.is_same()
            || (!functions.is_empty() && !self.moved.is_empty())
    }
}

/// What becomes of the live target groups.
#[derive(Debug)]
pub struct GroupChanges<'a> {
    /// Groups that are new, changed, or come into or out of use.
    pub updated: Vec<(&'a Arc<config::TargetGroup>, Use)>,
    /// Groups that are no longer configured; `None`: all that are not updated.
    pub removed: Option<Vec<TargetGroupId>>,
}

/// The groups that a service names.
pub(crate) fn named(service: &config::Service) -> impl Iterator<Item = TargetGroupId> {
    let actions = service.listeners.iter().flat_map(|listener| {
        let ruled = listener.rules.iter().map(|rule| &rule.action);
        ruled.chain([&listener.default_action])
    });
    actions
        .flat_map(|action| match action {
            Action::Forward(forward) => forward.groups.as_slice(),
            Action::FixedResponse(_) => &[],
        })
        .map(|weighted| weighted.group)
}

/// Who names which group, and for which that is not as before.
fn uses(
    config: &Config,
    before: Option<(&Config, &Snapshot)>,
    difference: &Difference,
) -> (Arc<Uses>, HashSet<TargetGroupId, RandomState>) {
    let carried = &difference.services;
    let known = before.map(|(_, snapshot)| &snapshot.pieces.uses);
    if let Some(known) = known.filter(|_| carried.is_same()) {
        return (Arc::clone(known), HashSet::default());
    }
    let mut uses = known.map_or_else(Uses::default, |known| Uses::clone(known));
    let mut touched: HashSet<TargetGroupId, RandomState> = HashSet::default();
    if let Some((before, _)) = before {
        // Those that are gone first: what they named may be named by others now.
        for service in carried
            .gone()
            .filter_map(|position| before.services.get(position))
        {
            for group in named(service) {
                uses.remove(&group);
                touched.insert(group);
            }
        }
    }
    let newcomers: Box<dyn Iterator<Item = usize>> = match known {
        Some(_) => Box::new(carried.newcomers()),
        None => Box::new(0..config.services.len()),
    };
    for service in newcomers.filter_map(|position| config.services.get(position)) {
        for group in named(service) {
            uses.insert(group, service.id);
            touched.insert(group);
        }
    }
    if let Some(known) = known {
        touched.retain(|group| known.get(group) != uses.get(group));
    }
    (Arc::new(uses), touched)
}
