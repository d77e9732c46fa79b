//! Access log subscriptions.

use std::{collections::HashSet, sync::Arc};

use super::Builder;
use crate::{
    arn::Arn,
    config::{AccessLogSubscription, LogDestination, LoggedResource},
    document,
    id::AccessLogSubscriptionId,
    load::path::At,
};

impl Builder<'_> {
    pub(super) fn build_subscriptions(&mut self) -> Vec<Arc<AccessLogSubscription>> {
        let mut seen = HashSet::new();
        let mut subscriptions = Vec::new();
        for (position, file) in self.files.iter().enumerate() {
            let root = At::file(position);
            let list = root.member("accessLogSubscriptions");
            for (index, written) in file.document.access_log_subscriptions.iter().enumerate() {
                let at = list.index(index);
                let Some(subscription) = self.subscription(&at, position, written) else {
                    continue;
                };
                if seen.insert((subscription.resource, subscription.destination.clone())) {
                    subscriptions.push(Arc::new(subscription));
                } else {
                    self.error(
                        &at,
                        format!(
                            "records of `{}` go to this destination already",
                            written.resource_identifier
                        ),
                    );
                }
            }
        }
        subscriptions
    }

    fn subscription(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &document::AccessLogSubscription,
    ) -> Option<AccessLogSubscription> {
        let resource = self.logged_resource(
            &at.member("resourceIdentifier"),
            file,
            &written.resource_identifier,
        );
        let (destination, text) = match &written.destination {
            document::LogDestination::Stdout => (LogDestination::Stdout, ""),
            document::LogDestination::File(path) if path.is_empty() => {
                let at = at.member("destination");
                self.error(&at.member("file"), "an empty path")
                    .hint("such as `./access.jsonl`");
                return None;
            }
            document::LogDestination::File(path) => (
                LogDestination::File(self.relative(file, path)),
                path.as_str(),
            ),
        };
        let resource = resource?;
        let resource_id = match resource {
            LoggedResource::ServiceNetwork(id) => id.to_string(),
            LoggedResource::Service(id) => id.to_string(),
        };
        let account = self.account(file);
        // The path as written: where the files lie on a machine does not change ids.
        let id = AccessLogSubscriptionId::derive(account, &self.region, &[&resource_id, text]);
        let arn = Arn::lattice(
            account,
            &self.region,
            format_args!("accesslogsubscription/{id}"),
        );
        Some(AccessLogSubscription {
            id,
            arn,
            resource,
            destination,
            place: self.place(at),
        })
    }
}
