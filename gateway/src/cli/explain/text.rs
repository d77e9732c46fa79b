//! The report as people read it: the way of the request, from top to bottom.

use std::fmt::{self, Display, Formatter};

use trellis_policy::Explanation;

use super::{
    groups::{Forward, GroupReport, StatusSource},
    report::{CallerReport, Headers, Outcome, Report, RuleReport},
};

/// A report for people.
pub(super) struct Text<'a>(pub(super) &'a Report);

/// Columns of the words at the left.
const LEFT: usize = 17;

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Report {
            request,
            from,
            service_network,
            service,
            listener,
            rules,
            caller,
            policies,
            candidate_policies,
            forward,
            headers,
            outcome,
        } = self.0;
        writeln!(f, "{} {} {}", request.method, request.url, request.version)?;
        let vpc = from.vpc.as_ref().map_or("no VPC", |vpc| &vpc.name);
        let assumed = if from.assumed { " (assumed)" } else { "" };
        line(
            f,
            "from",
            format_args!("{vpc}, {}{assumed} to {}", from.address, from.to),
        )?;
        for (left, guarded) in [("service network", service_network), ("service", service)] {
            if let Some(guarded) = guarded {
                line(
                    f,
                    left,
                    format_args!("{}, auth type {}", guarded.name, guarded.auth_type),
                )?;
            }
        }
        if let Some(listener) = listener {
            line(
                f,
                "listener",
                format_args!("{}, {} {}", listener.name, listener.protocol, listener.port),
            )?;
        }
        for (number, rule) in rules.iter().enumerate() {
            line(f, if number == 0 { "rules" } else { "" }, rule)?;
        }
        if let Some(caller) = caller {
            line(f, "caller", caller)?;
        }
        for (left, decision) in [("policies", policies), ("candidate", candidate_policies)] {
            write_decision(f, left, decision.as_ref())?;
        }
        if let Some(forward) = forward {
            write_forward(f, forward)?;
        }
        if let Some(headers) = headers {
            write_headers(f, headers)?;
        }
        line(f, "=>", outcome)
    }
}

fn line(f: &mut Formatter<'_>, left: &str, right: impl Display) -> fmt::Result {
    writeln!(f, "{left:<LEFT$}{right}")
}

/// What each layer says; of candidates also what comes of it, because the end of the request does not show that.
fn write_decision(
    f: &mut Formatter<'_>,
    left: &str,
    decision: Option<&Explanation>,
) -> fmt::Result {
    let mut left = left;
    if let Some(decision) = decision.filter(|_| left == "candidate") {
        let verdict = if decision.allowed {
            "would be allowed"
        } else {
            "would be refused"
        };
        line(f, left, verdict)?;
        left = "";
    }
    for layer in decision.iter().flat_map(|all| &all.layers) {
        for text in layer.to_string().lines() {
            line(f, left, text)?;
            left = "";
        }
    }
    Ok(())
}

fn write_forward(f: &mut Formatter<'_>, forward: &Forward) -> fmt::Result {
    let source = match &forward.target_status {
        StatusSource::BeforeAnyCheck => {
            "status before any check; --admin asks a running gateway".to_owned()
        }
        StatusSource::Gateway {
            admin,
            generation,
            same_configuration,
        } => {
            let generation = generation.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let same = if *same_configuration {
                ""
            } else {
                ". IT RUNS ANOTHER CONFIGURATION than the one explained here"
            };
            format!("status from the gateway at {admin}, generation {generation}{same}")
        }
    };
    line(f, "target groups", format_args!("({source})"))?;
    for group in &forward.target_groups {
        line(f, "", group)?;
    }
    Ok(())
}

impl Display for GroupReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            weight,
            share,
            protocol,
            protocol_version,
            function,
            refusal,
            found_by,
            algorithm,
            bound,
            failing_open,
            targets,
            ..
        } = self;
        write!(f, "{name}: weight {weight}, {:.1} %", share * 100.0)?;
        if let (Some(protocol), Some(version)) = (protocol, protocol_version) {
            write!(f, ", {version} over {protocol}")?;
        }
        if let Some(algorithm) = algorithm {
            write!(f, ", {algorithm}")?;
        }
        if let Some(function) = function {
            write!(f, ", function {function}")?;
        }
        if let Some(name) = found_by {
            write!(f, ", targets found by the name {name}")?;
        }
        match failing_open {
            None => f.write_str("; the running gateway does not have it")?,
            Some(_) if *weight == 0 => f.write_str("; it gets no requests")?,
            Some(true) if refusal.is_none() => {
                f.write_str("; too few targets are healthy, so all get requests")?;
            }
            Some(_) => {}
        }
        if let Some(refusal) = refusal {
            write!(f, "; {}", Short(refusal))?;
        }
        if let Some(bound) = bound {
            let (target, by) = (bound.target, &bound.by);
            write!(f, "; the {by} leads to {target} while that gets requests")?;
        }
        for target in targets {
            match target.address {
                Some(address) => write!(f, "\n{:LEFT$}  {address} {}", "", target.status)?,
                None => write!(f, "\n{:LEFT$}  {} {}", "", target.id, target.status)?,
            }
            if let Some(reason) = &target.reason_code {
                write!(f, " ({reason})")?;
            }
            if !target.receives_requests {
                f.write_str(", gets no requests")?;
            }
        }
        Ok(())
    }
}

fn write_headers(f: &mut Formatter<'_>, headers: &Headers) -> fmt::Result {
    line(
        f,
        "headers",
        format_args!("(as a target of {} gets them)", headers.target_group),
    )?;
    for header in &headers.set {
        line(f, "", format_args!("+ {}: {}", header.name, header.value))?;
    }
    for name in &headers.removed {
        line(f, "", format_args!("- {name}"))?;
    }
    Ok(())
}

impl Display for RuleReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.priority, &self.reason) {
            (None, _) => f.write_str("the default rule applies"),
            (Some(priority), None) => write!(f, "{priority} {} matches", self.name),
            (Some(priority), Some(reason)) => {
                write!(f, "{priority} {} does not match: {reason}", self.name)
            }
        }
    }
}

impl Display for CallerReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let known_by = match self.known_by {
            "signature" => "as the signature shows",
            "token" => "as the token shows",
            "network" => "as the network shows",
            "certificate" => "as the client certificate shows",
            "noSignature" => "without a signature",
            _ => "as supposed",
        };
        write!(f, "{}, {known_by}", self.principal)
    }
}

/// An outcome in a line.
struct Short<'a>(&'a Outcome);

impl Display for Short<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::Forwarded { share } if *share < 1.0 => write!(
                f,
                "forwarded, {:.1} % of such requests; the groups say what becomes of the others",
                share * 100.0
            ),
            Outcome::Forwarded { .. } => f.write_str("forwarded"),
            Outcome::FixedResponse { status_code } => {
                write!(f, "answered with the fixed response {status_code}")
            }
            Outcome::Refused {
                status_code,
                reason,
                ..
            } => write!(f, "refused with {status_code}: {reason}"),
            Outcome::Unanswered { reason } => write!(f, "not answered: {reason}"),
        }
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Short(self).fmt(f)?;
        match self {
            Self::Refused { body, .. } => write!(f, "\n{:LEFT$}the client reads: {body}", ""),
            _ => Ok(()),
        }
    }
}
