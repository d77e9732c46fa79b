//! Elastic Compute Cloud, as far as clients of VPC Lattice look at VPCs: those of the files, whose attachments the gateway has.
//!
//! Subnets and security groups are not declared anywhere, so there are none.
//!
//! Source: EC2 API reference, version 2016-11-15.

use std::collections::BTreeMap;

use serde_json::json;
use trellis_model::config::Vpc;

use crate::{
    call::Call,
    lattice::page,
    neighbor::{self, Api, Dialect, Refusal, Visit},
    query::Parameters,
    xml::Xml,
};

/// Elastic Compute Cloud.
#[derive(Debug)]
pub(crate) struct Ec2;

const VERSION: &str = "2016-11-15";
const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// VPCs of a page. Source: EC2 API reference, `DescribeVpcs`.
const PAGE: std::ops::RangeInclusive<usize> = 5..=1000;
/// Most filters, and most values of all of them. Source: EC2 user guide, "List and filter your resources".
const MAX_FILTERS: usize = 50;
const MAX_VALUES: usize = 200;

impl Api for Ec2 {
    const SERVICE: &'static str = "ec2";
    const DIALECT: Dialect = Dialect::Ec2;
    const OPERATIONS: &'static [&'static str] =
        &["DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs"];
    type Input = Parameters;

    fn read(call: &Call) -> Result<(&'static str, Parameters), Refusal> {
        neighbor::read_query::<Self>(call, VERSION)
    }

    fn perform(
        operation: &'static str,
        input: &Parameters,
        visit: &Visit<'_>,
    ) -> Result<String, Refusal> {
        visit.may(&format!("ec2:{operation}"), "*")?;
        if input.find("DryRun") == Some("true") {
            return Err(Refusal::with_status(
                "DryRunOperation",
                http::StatusCode::PRECONDITION_FAILED,
                "Request would have succeeded, but DryRun flag is set.",
            ));
        }
        let inner = match operation {
            "DescribeVpcs" => vpcs(input, visit)?,
            "DescribeSubnets" => {
                none(input, ("SubnetId", "InvalidSubnetID.NotFound"), "subnetSet")?
            }
            "DescribeSecurityGroups" => none(
                input,
                ("GroupId", "InvalidGroup.NotFound"),
                "securityGroupInfo",
            )?,
            other => return Err(Refusal::unknown(other)),
        };
        let mut xml = Xml::default();
        xml.within_namespace(&format!("{operation}Response"), NAMESPACE, |xml| {
            xml.text("requestId", visit.id);
            xml.raw(&inner.finish());
        });
        Ok(xml.finish())
    }
}

/// A condition on what is described: any of the values.
struct Filter {
    name: String,
    values: Vec<String>,
}

/// `Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-…`
fn filters(input: &Parameters) -> Result<Vec<Filter>, Refusal> {
    let invalid = |text: &str| Refusal::told("InvalidParameterValue", text);
    let mut filters: BTreeMap<u32, Filter> = BTreeMap::new();
    let mut values = 0;
    for (number, rest, text) in input.numbered("Filter") {
        let filter = filters.entry(number).or_insert_with(|| Filter {
            name: String::new(),
            values: Vec::new(),
        });
        if rest == "Name" {
            text.clone_into(&mut filter.name);
        } else if rest.starts_with("Value.") {
            filter.values.push(text.to_owned());
            values += 1;
        }
    }
    if filters.len() > MAX_FILTERS || values > MAX_VALUES {
        return Err(invalid("There are too many filters or values"));
    }
    let filters: Vec<Filter> = filters.into_values().collect();
    match filters.iter().find(|filter| filter.values.is_empty()) {
        Some(_) => Err(invalid("A filter needs a name and at least one value")),
        None => Ok(filters),
    }
}

impl Filter {
    fn fits(&self, vpc: &Vpc) -> Result<bool, Refusal> {
        let any = |text: &str| self.values.iter().any(|value| is_like(value, text));
        let cidr = || vpc.cidrs.iter().any(|cidr| any(&cidr.to_string()));
        Ok(match self.name.as_str() {
            "vpc-id" => any(vpc.id.as_str()),
            "owner-id" => any(vpc.account.as_str()),
            "tag:Name" => any(vpc.name.as_str()),
            "tag-key" => any("Name"),
            "state" => any("available"),
            "is-default" | "isDefault" => any("false"),
            "cidr" | "cidr-block-association.cidr-block" => cidr(),
            // Nothing else is tagged.
            name if name.starts_with("tag:") => false,
            name => {
                return Err(Refusal::told(
                    "InvalidParameterValue",
                    format!("The filter '{}' is invalid", shown(name)),
                ));
            }
        })
    }
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Does a text fit a value, in which `*` stands for any characters and `?` for one?
fn is_like(value: &str, text: &str) -> bool {
    let (value, text): (Vec<char>, Vec<char>) = (value.chars().collect(), text.chars().collect());
    // Which lengths of the text the value so far can stand for.
    let mut fits: Vec<bool> = (0..=text.len()).map(|length| length == 0).collect();
    for wanted in value {
        let mut next = vec![false; text.len() + 1];
        let mut seen = false;
        for (at, reached) in fits.iter().enumerate() {
            seen |= reached;
            let here = match wanted {
                '*' => seen,
                _ => {
                    at > 0
                        && fits.get(at - 1) == Some(&true)
                        && (wanted == '?' || text.get(at - 1) == Some(&wanted))
                }
            };
            if let Some(next) = next.get_mut(at) {
                *next = here;
            }
        }
        fits = next;
    }
    fits.last() == Some(&true)
}

fn vpcs(input: &Parameters, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let filters = filters(input)?;
    let ids: Vec<&str> = input.numbered("VpcId").map(|(_, _, id)| id).collect();
    let list = page::digest(&json!(["ec2", "vpcs", visit.account]));
    let most = match input.find("MaxResults").map(str::parse::<usize>) {
        None => *PAGE.end(),
        Some(Ok(most)) if PAGE.contains(&most) => most,
        Some(_) => {
            return Err(Refusal::told(
                "InvalidParameterValue",
                "MaxResults must be between 5 and 1000",
            ));
        }
    };
    let after = input.find("NextToken").map(|token| {
        let wrong = || Refusal::told("InvalidNextToken", "The token is invalid");
        page::open(token, &list).ok_or_else(wrong)
    });
    let after = after.transpose()?;
    let catalog = visit.plane().catalog();
    let own: Vec<&Vpc> = catalog
        .vpcs()
        .filter(|vpc| vpc.account == *visit.account)
        .collect();
    if let Some(missing) = ids
        .iter()
        .find(|id| !own.iter().any(|vpc| vpc.id.as_str() == **id))
    {
        let text = format!("The vpc ID '{}' does not exist", shown(missing));
        return Err(Refusal::told("InvalidVpcID.NotFound", text));
    }
    let mut found = Vec::new();
    for vpc in own {
        let asked = ids.is_empty() || ids.contains(&vpc.id.as_str());
        let fit: Result<Vec<bool>, Refusal> =
            filters.iter().map(|filter| filter.fits(vpc)).collect();
        let beyond = after.as_deref().is_none_or(|after| vpc.id.as_str() > after);
        if asked && beyond && fit?.into_iter().all(|fits| fits) {
            found.push(vpc);
        }
    }
    let more = found.len() > most;
    found.truncate(most);
    let mut xml = Xml::default();
    xml.within("vpcSet", |xml| {
        for vpc in &found {
            xml.within("item", |xml| show(xml, vpc));
        }
    });
    if let Some(last) = found.last().filter(|_| more) {
        xml.text("nextToken", &page::seal(last.id.as_str(), &list));
    }
    Ok(xml)
}

fn show(xml: &mut Xml, vpc: &Vpc) {
    xml.text("vpcId", vpc.id.as_str());
    xml.text("ownerId", vpc.account.as_str());
    xml.text("state", "available");
    let cidrs: Vec<String> = vpc.cidrs.iter().map(ToString::to_string).collect();
    let (v6, v4): (Vec<&String>, Vec<&String>) = cidrs.iter().partition(|cidr| cidr.contains(':'));
    if let Some(first) = v4.first() {
        xml.text("cidrBlock", first);
    }
    blocks(xml, ("cidrBlockAssociationSet", "cidrBlock"), &v4);
    blocks(xml, ("ipv6CidrBlockAssociationSet", "ipv6CidrBlock"), &v6);
    xml.text("instanceTenancy", "default");
    xml.text("isDefault", "false");
    xml.within("tagSet", |xml| {
        xml.within("item", |xml| {
            xml.text("key", "Name");
            xml.text("value", vpc.name.as_str());
        });
    });
}

fn blocks(xml: &mut Xml, (set, member): (&str, &str), cidrs: &[&String]) {
    if cidrs.is_empty() {
        return;
    }
    xml.within(set, |xml| {
        for cidr in cidrs {
            xml.within("item", |xml| {
                xml.text(member, cidr);
                xml.within(&format!("{member}State"), |xml| {
                    xml.text("state", "associated");
                });
            });
        }
    });
}

/// A set of what there is none of; whoever asks for one by its id is told that it is not there.
fn none(
    input: &Parameters,
    (id, missing): (&str, &'static str),
    set: &str,
) -> Result<Xml, Refusal> {
    filters(input)?;
    if let Some((_, _, asked)) = input.numbered(id).next() {
        let text = format!("'{}' does not exist", shown(asked));
        return Err(Refusal::told(missing, text));
    }
    let mut xml = Xml::default();
    xml.within(set, |_| {});
    Ok(xml)
}

#[cfg(test)]
mod tests;
