//! Functions behind target groups of type LAMBDA.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{AwsSigner, HttpEndpoint};
use crate::{
    arn::Arn,
    id::TargetGroupId,
    name::{AccountId, Name},
    problem::Place,
};

/// A target group of type LAMBDA: one function. It has no port, no VPC and no health.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionGroup {
    /// Its id.
    pub id: TargetGroupId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name, unique among the target groups of the account.
    pub name: Name,
    /// Its owner, and the function's.
    pub account: AccountId,
    /// The function.
    pub function: FunctionArn,
    /// Form of the events that it is given. Default V1.
    pub event: EventVersion,
    /// How it is called.
    pub call: FunctionCall,
    /// Longest wait for its whole answer; `None` for the idle timeout of the service.
    pub timeout: Option<Duration>,
    /// Most requests that are with it at a time. Default 1000.
    pub concurrency: usize,
    /// Tags, for those who look at the running configuration.
    pub tags: BTreeMap<String, String>,
    /// Where it is declared.
    pub place: Place,
}

/// Form of a function's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventVersion {
    /// Flat, members in snake case.
    V1,
    /// With the caller, members in camel case, lists of values.
    V2,
}

/// The ARN of a function: `arn:aws:lambda:us-west-2:111122223333:function:orders`, perhaps with `:version` or `:alias`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FunctionArn {
    text: Box<str>,
    /// Where the qualifier begins, or the end.
    unqualified: usize,
    name: usize,
}

impl FunctionArn {
    /// Reads an ARN, of a function of this account and region.
    ///
    /// Source: Lambda API reference, patterns of `FunctionName` and `Qualifier`.
    pub fn parse(text: &str) -> Option<FunctionParts<'_>> {
        let steps: Vec<&str> = text.split(':').collect();
        let &[
            "arn",
            partition,
            "lambda",
            region,
            account,
            "function",
            function,
            ref version @ ..,
        ] = steps.as_slice()
        else {
            return None;
        };
        let qualifier = match version {
            [] => None,
            [qualifier] => Some(*qualifier),
            _ => return None,
        };
        let word = |text: &str, most: usize| {
            (1..=most).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let fits = qualifier.is_none_or(|text| text == "$LATEST" || word(text, 128));
        (word(function, 64) && fits).then_some(FunctionParts {
            partition,
            region,
            account,
            function,
            qualifier,
        })
    }

    /// The whole ARN, as registered.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The ARN of the function itself, without version or alias.
    pub fn unqualified(&self) -> &str {
        self.text.get(..self.unqualified).unwrap_or(&self.text)
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        self.unqualified().get(self.name..).unwrap_or_default()
    }

    /// Version or alias, if the ARN names one.
    pub fn qualifier(&self) -> Option<&str> {
        self.text.get(self.unqualified + 1..)
    }
}

/// What the ARN of a function says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionParts<'a> {
    /// `aws` and its like.
    pub partition: &'a str,
    /// Region of the function.
    pub region: &'a str,
    /// Account of the function.
    pub account: &'a str,
    /// Its name.
    pub function: &'a str,
    /// Version or alias.
    pub qualifier: Option<&'a str>,
}

impl From<FunctionParts<'_>> for FunctionArn {
    fn from(parts: FunctionParts<'_>) -> Self {
        let FunctionParts {
            partition,
            region,
            account,
            function,
            qualifier,
        } = parts;
        let mut text = format!("arn:{partition}:lambda:{region}:{account}:function:");
        let name = text.len();
        text.push_str(function);
        let unqualified = text.len();
        if let Some(qualifier) = qualifier {
            text.push(':');
            text.push_str(qualifier);
        }
        Self {
            text: text.into(),
            unqualified,
            name,
        }
    }
}

impl fmt::Display for FunctionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for FunctionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How a function is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FunctionCall {
    /// Through the Lambda Invoke API.
    Invoke {
        /// Where the API is.
        endpoint: HttpEndpoint,
        /// How it is told which function is meant.
        names: FunctionNames,
        /// What requests are signed with; none are not signed.
        signer: Option<AwsSigner>,
    },
    /// By posting the event.
    Event {
        /// Where to.
        endpoint: HttpEndpoint,
    },
}

impl FunctionCall {
    /// Where requests go.
    pub fn endpoint(&self) -> &HttpEndpoint {
        match self {
            Self::Invoke { endpoint, .. } | Self::Event { endpoint } => endpoint,
        }
    }
}

/// How the Invoke API is told which function is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FunctionNames {
    /// By its ARN.
    Arn,
    /// By its name alone.
    Name,
}
