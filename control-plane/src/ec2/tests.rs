use super::{Ec2, is_like};
use crate::{
    lattice::tests::{ONE, TWO, VPC_ONE, VPC_TWO, World},
    neighbor::tests::{Visitor, assert_refused},
    query::Parameters,
};

fn parameters(text: &str) -> Parameters {
    Parameters::parse(text.as_bytes()).unwrap()
}

#[test]
fn an_account_sees_its_own_vpcs_and_filters_them() {
    let world = World::new();
    let me = Visitor::of(ONE);
    for (text, found) in [
        (String::new(), true),
        (format!("VpcId.1={VPC_ONE}"), true),
        (format!("Filter.1.Name=vpc-id&Filter.1.Value.1={VPC_ONE}"), true),
        (format!("Filter.1.Name=vpc-id&Filter.1.Value.1={VPC_TWO}"), false),
        ("Filter.1.Name=tag:Name&Filter.1.Value.1=none&Filter.1.Value.2=sh*p".to_owned(), true),
        ("Filter.1.Name=tag:Name&Filter.1.Value.1=Shop".to_owned(), false),
        ("Filter.1.Name=tag:team&Filter.1.Value.1=*".to_owned(), false),
        ("Filter.1.Name=tag:Name&Filter.1.Value.1=shop&Filter.2.Name=owner-id&Filter.2.Value.1=1".to_owned(), false),
        ("Filter.1.Name=cidr&Filter.1.Value.1=10.0.0.0/16".to_owned(), true),
    ] {
        let answer = me.ask::<Ec2>(&world, "DescribeVpcs", &parameters(&text)).unwrap();
        assert_eq!(answer.contains(VPC_ONE), found, "{text}: {answer}");
        assert!(!answer.contains(VPC_TWO), "{text}: {answer}");
    }
    let theirs = Visitor::of(TWO)
        .ask::<Ec2>(&world, "DescribeVpcs", &parameters(""))
        .unwrap();
    assert!(
        theirs.contains(VPC_TWO) && !theirs.contains(VPC_ONE),
        "{theirs}"
    );
}

#[test]
fn what_is_not_there_or_not_understood_is_told_so() {
    let world = World::new();
    for (operation, text, code) in [
        (
            "DescribeVpcs",
            format!("VpcId.1={VPC_TWO}"),
            "InvalidVpcID.NotFound",
        ),
        (
            "DescribeVpcs",
            "Filter.1.Name=color&Filter.1.Value.1=red".to_owned(),
            "InvalidParameterValue",
        ),
        (
            "DescribeVpcs",
            "Filter.1.Name=vpc-id".to_owned(),
            "InvalidParameterValue",
        ),
        (
            "DescribeVpcs",
            "MaxResults=1".to_owned(),
            "InvalidParameterValue",
        ),
        ("DescribeVpcs", "NextToken=x".to_owned(), "InvalidNextToken"),
        ("DescribeVpcs", "DryRun=true".to_owned(), "DryRunOperation"),
        (
            "DescribeSubnets",
            "SubnetId.1=subnet-1".to_owned(),
            "InvalidSubnetID.NotFound",
        ),
        (
            "DescribeSecurityGroups",
            "GroupId.1=sg-1".to_owned(),
            "InvalidGroup.NotFound",
        ),
    ] {
        let answer = Visitor::of(ONE).ask::<Ec2>(&world, operation, &parameters(&text));
        assert_refused::<Ec2>(answer, code);
        let denied = format!("ec2:{operation}");
        let denied = [denied.as_str()];
        let answer =
            Visitor::of(ONE)
                .without(&denied)
                .ask::<Ec2>(&world, operation, &parameters(&text));
        assert_refused::<Ec2>(answer, "UnauthorizedOperation");
    }
    for (operation, set) in [
        ("DescribeSubnets", "<subnetSet>"),
        ("DescribeSecurityGroups", "<securityGroupInfo>"),
    ] {
        let answer = Visitor::of(ONE)
            .ask::<Ec2>(&world, operation, &parameters(""))
            .unwrap();
        assert!(
            answer.contains(set) && !answer.contains("<item>"),
            "{answer}"
        );
    }
}

#[test]
fn stars_and_question_marks_stand_for_characters() {
    for (value, text, fits) in [
        ("shop", "shop", true),
        ("shop", "shops", false),
        ("sho", "shop", false),
        ("s*", "shop", true),
        ("*", "", true),
        ("?", "", false),
        ("s??p", "shop", true),
        ("*o*p", "shop", true),
        ("*o", "shop", false),
        ("**", "shop", true),
    ] {
        assert_eq!(is_like(value, text), fits, "{value} {text}");
    }
}
