use crate::world::{
    CHECKOUT, Call,
    Given::{NoPolicy, None as NoneType, Policy},
    READER, policies_with, service_arn,
};

const SERVICE: &str = r#"{"Version":"2012-10-17","Statement":[
  {"Sid":"Readers","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/reader"},"Action":"vpc-lattice-svcs:Invoke",
   "Resource":"*/rates/*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"},"NumericLessThan":{"vpc-lattice-svcs:Port":9000}}},
  {"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Connect","Resource":"*"},
  {"Sid":"NoAdmin","Effect":"Deny","Principal":"*","Action":"*","Resource":"*/admin/*"}]}"#;

fn tell(call: &Call) -> String {
    let own = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let policies = policies_with(NoneType, Policy(SERVICE), Policy(own));
    call.explain(&policies)
        .to_string()
        .replace(&service_arn(), "ORDERS")
}

#[test]
fn an_allowed_request_names_what_allowed_it() {
    assert_eq!(
        tell(&Call::by(READER)),
        "allowed: arn:aws:sts::111122223333:assumed-role/reader/night vpc-lattice-svcs:Invoke on ORDERS/rates/1
  Network: not counted (the auth type of the service network is NONE)
  Service: allows, by statement `Readers` (the auth type of the service is AWS_IAM)
    statement `Readers` (Allow) applies
    statement 2 (Allow) does not apply: Action does not hold
    statement `NoAdmin` (Deny) does not apply: Resource does not hold
  Identity: allows, by statement 1 (the caller is authenticated)
    statement 1 (Allow) applies"
    );
}

#[test]
fn a_missing_permission_names_what_failed_in_every_statement() {
    let call = Call {
        port: 9000,
        ..Call::by(CHECKOUT).line("POST /rates/1")
    };
    assert_eq!(
        tell(&call),
        "refused: arn:aws:iam::111122223333:user/checkout vpc-lattice-svcs:Invoke on ORDERS/rates/1
  Network: not counted (the auth type of the service network is NONE)
  Service: does not allow (the auth type of the service is AWS_IAM)
    nearest to allowing it: statement `Readers`, but Principal, Condition.StringEquals.vpc-lattice-svcs:RequestMethod, Condition.NumericLessThan.vpc-lattice-svcs:Port does not hold
    statement `Readers` (Allow) does not apply: Principal, Condition.StringEquals.vpc-lattice-svcs:RequestMethod, Condition.NumericLessThan.vpc-lattice-svcs:Port does not hold
    statement 2 (Allow) does not apply: Action does not hold
    statement `NoAdmin` (Deny) does not apply: Resource does not hold
  Identity: allows, by statement 1 (the caller is authenticated)
    statement 1 (Allow) applies"
    );
}

#[test]
fn a_denial_names_the_statement() {
    assert_eq!(
        tell(&Call::default().line("GET /admin/x")),
        "refused: anonymous vpc-lattice-svcs:Invoke on ORDERS/admin/x
  Network: not counted (the auth type of the service network is NONE)
  Service: denies, by statement `NoAdmin` (the auth type of the service is AWS_IAM)
    statement `Readers` (Allow) does not apply: Principal, Resource does not hold
    statement 2 (Allow) does not apply: Action does not hold
    statement `NoAdmin` (Deny) applies
  Identity: not counted (the caller is anonymous)"
    );
}

#[test]
fn reasons_for_counting_are_told() {
    let reasons = |network, service, call: Call| {
        let explanation = call.explain(&policies_with(network, service, NoPolicy));
        explanation
            .layers
            .into_iter()
            .map(|layer| layer.reason)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        reasons(NoneType, NoneType, Call::by(READER)),
        [
            "the auth type of the service network is NONE",
            "the auth type of the service is NONE",
            "both auth types are NONE",
        ]
    );
    assert_eq!(
        reasons(NoPolicy, NoneType, Call::by(READER)),
        [
            "the auth type of the service network is AWS_IAM, and without a policy nothing is allowed",
            "the auth type of the service is NONE",
            "the caller is authenticated, and without a policy nothing is allowed",
        ]
    );
}

/// Which statement comes nearest to allowing a `POST /rates/1` of checkout, and what of it does not hold.
#[test]
fn the_statement_nearest_to_allowing_is_told() {
    let far = r#"{"Sid":"Far","Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"*","Resource":"*"}"#;
    let connect = r#"{"Sid":"Connect","Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Connect","Resource":"*"}"#;
    let path =
        r#"{"Sid":"Path","Effect":"Allow","Principal":"*","Action":"*","Resource":"*/other"}"#;
    let two = r#"{"Sid":"Two","Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"},"NumericEquals":{"vpc-lattice-svcs:Port":"1"}}}"#;
    let one = r#"{"Sid":"One","Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#;
    let deny = r#"{"Sid":"No","Effect":"Deny","Principal":"*","Action":"*","Resource":"*/admin"}"#;
    for (statements, expected) in [
        (vec![connect, far], Some(("Far", vec!["Principal"]))),
        (vec![far, path, connect], Some(("Path", vec!["Resource"]))),
        (
            vec![path, two, far],
            Some((
                "Two",
                vec![
                    "Condition.StringEquals.vpc-lattice-svcs:RequestMethod",
                    "Condition.NumericEquals.vpc-lattice-svcs:Port",
                ],
            )),
        ),
        (
            vec![two, one],
            Some(("One", vec!["Condition.Bool.aws:SecureTransport"])),
        ),
        (vec![deny], None),
    ] {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
            statements.join(",")
        );
        let policies = policies_with(NoneType, Policy(&text), NoPolicy);
        let explanation = Call::by(CHECKOUT).line("POST /rates/1").explain(&policies);
        let nearest = explanation.layers[1].nearest.clone();
        let expected = expected.map(|(sid, failed)| super::Nearest {
            statement: format!("statement `{sid}`"),
            failed: failed.into_iter().map(str::to_owned).collect(),
        });
        assert_eq!(nearest, expected, "{text}");
    }
}

#[test]
fn native_policies_are_explained_by_clause() {
    let text = r#"@id("p") permit (principal is Trellis::User, action == Trellis::Action::"Invoke", resource)
        when { context.method == "GET" } unless { context.port + 9223372036854775807 > 0 };"#;
    let policies = policies_with(NoneType, Policy(text), NoPolicy);
    let told = |call: Call| call.explain(&policies).layers[1].to_string();
    assert!(
        told(Call::default())
            .ends_with("Cedar policy `p` (Allow) does not apply: principal does not hold")
    );
    assert!(
        told(Call::by(CHECKOUT).line("PUT /")).ends_with("does not apply: when 1 does not hold")
    );
    let failed = told(Call::by(CHECKOUT));
    assert!(
        failed.contains("could not be evaluated, by Cedar policy `p`"),
        "{failed}"
    );
    assert!(failed.contains("unless 2: "), "{failed}");
}

#[test]
fn explanations_are_json_for_scripts() {
    let policies = policies_with(NoneType, Policy(SERVICE), NoPolicy);
    let json = serde_json::to_value(Call::default().explain(&policies)).unwrap();
    assert_eq!(json["allowed"], false);
    assert_eq!(json["refusedBy"], "Service");
    assert_eq!(json["action"], "vpc-lattice-svcs:Invoke");
    assert_eq!(json["layers"][1]["outcome"], "implicitDeny");
    assert_eq!(
        json["layers"][1]["statements"][0]["failed"],
        serde_json::json!(["Principal"])
    );
}
