//! Amazon resource names: `arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-0123456789abcdef0`.

use std::{fmt, sync::Arc};

use crate::name::{AccountId, Region, partition};

/// The ARN of a resource of ours. Built from checked parts only, so it needs no parser of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn(Arc<str>);

impl Arn {
    /// The ARN of a VPC Lattice resource; `resource` is everything after the account, `service/svc-…`.
    pub fn lattice(account: &AccountId, region: &Region, resource: fmt::Arguments<'_>) -> Self {
        Self(
            format!(
                "arn:{}:vpc-lattice:{region}:{account}:{resource}",
                partition(region)
            )
            .into(),
        )
    }

    /// The ARN of a VPC, an EC2 resource.
    pub fn vpc(account: &AccountId, region: &Region, id: &crate::id::VpcId) -> Self {
        Self(format!("arn:{}:ec2:{region}:{account}:vpc/{id}", partition(region)).into())
    }

    /// The ARN of an IAM resource; `resource` is everything after the account, `user/checkout`.
    pub fn iam(account: &AccountId, region: &Region, resource: fmt::Arguments<'_>) -> Self {
        Self(format!("arn:{}:iam::{account}:{resource}", partition(region)).into())
    }

    /// The ARN of a role session, which is what a caller with a role's credentials is.
    pub fn assumed_role(account: &AccountId, region: &Region, role: &str, session: &str) -> Self {
        Self(
            format!(
                "arn:{}:sts::{account}:assumed-role/{role}/{session}",
                partition(region)
            )
            .into(),
        )
    }

    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ARN as a shared text, for owners that keep it without copying.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
