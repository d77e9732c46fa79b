//! Access records as scenarios look at them.

use serde_json::Value;

use crate::schema;

/// One access record.
#[derive(Debug, Clone)]
pub struct Record(pub(crate) Value);

impl Record {
    /// A field's value.
    #[track_caller]
    pub fn field(&self, name: &str) -> &Value {
        match self.0.get(name) {
            Some(value) => value,
            None => panic!("no field `{name}` in {:#}", self.0),
        }
    }

    /// A field's text.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        self.field(name).as_str().expect("a text")
    }

    /// A field's number.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        self.field(name).as_u64().expect("a number")
    }

    /// The name that VPC Lattice gives the service of this record, whose own name is `service`.
    ///
    /// Source: VPC Lattice user guide, "Services": `service_name-service_id.partition.vpc-lattice-svcs.region.on.aws`.
    #[track_caller]
    pub fn generated_name(&self, service: &str) -> String {
        let parts: Vec<&str> = self.text("serviceArn").split(':').collect();
        let id = parts[5]
            .strip_prefix("service/svc-")
            .expect("a service's ARN");
        let region = parts[3];
        format!("{service}-{id}.7d67968.vpc-lattice-svcs.{region}.on.aws")
    }

    /// Checks fields; gives the record for more.
    #[track_caller]
    pub fn has<const N: usize>(&self, fields: [(&str, Value); N]) -> &Self {
        for (name, expected) in fields {
            assert_eq!(
                self.field(name),
                &expected,
                "field `{name}` of {:#}",
                self.0
            );
        }
        self
    }

    /// Checks members of the object `trellis`, where null stands for a member that is left out; gives the record for more.
    #[track_caller]
    pub fn adds<const N: usize>(&self, additions: [(&str, Value); N]) -> &Self {
        for (name, expected) in additions {
            assert_eq!(
                self.field("trellis").get(name).unwrap_or(&Value::Null),
                &expected,
                "member `{name}` of `trellis` in {:#}",
                self.0
            );
        }
        self
    }

    /// Checks why it failed and with which status; a status of zero stands for none.
    #[track_caller]
    pub fn failed(&self, status: u16, reason: &str) -> &Self {
        let status = if status == 0 {
            Value::from("-")
        } else {
            Value::from(status)
        };
        self.has([("failureReason", reason.into()), ("responseCode", status)])
    }

    /// Checks what holds for every record: it is as the schema says, and its phases are its whole time.
    #[track_caller]
    pub(crate) fn check(&self) {
        schema::check(&self.0);
        let Some(phases) = self.field("trellis").get("phases") else {
            return;
        };
        let phases = phases.as_object().expect("an object");
        let before = ["accept", "tls"];
        let of_request = phases
            .iter()
            .filter(|(name, _)| !before.contains(&name.as_str()));
        let micros: u64 = of_request
            .map(|(_, micros)| micros.as_u64().expect("a number"))
            .sum();
        let difference = self.number("duration").abs_diff(micros / 1000);
        assert!(difference <= 1, "{micros} µs in phases of {:#}", self.0);
    }

    /// Is it the record of a request that failed?
    pub fn is_failure(&self) -> bool {
        self.0["failureReason"] != "-"
            || self.0["responseCode"]
                .as_u64()
                .is_none_or(|code| code >= 500)
    }
}
