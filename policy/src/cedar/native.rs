//! Native Cedar policies: parsed, validated against the schema, every problem with its line.

use std::{collections::BTreeSet, str::FromStr};

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator, pst};
use miette::Diagnostic;
use trellis_model::{
    config::PolicyText,
    problem::{Code, Place, Problem},
};

use crate::{
    cedar::{CedarError, SCHEMA, action_name, reads},
    facts::Fact,
    iam::{Effect, read::check_length},
    program::{Program, compile_native},
    request::Action,
};

/// Deepest nesting of brackets. Cedar's parser recurses; ours is the stack.
const MAX_BRACKETS: usize = 32;

/// Most operators in one document, because chains of them nest as deeply in the syntax tree.
const MAX_OPERATORS: usize = 1_000;

/// Longest pattern of a `like` in a policy that has no program: the authorizer compares each character of it with each of the text.
const MAX_PATTERN: usize = 64;

/// A native policy.
#[derive(Debug)]
pub(crate) struct Native {
    /// What `@id` says.
    pub(crate) annotated: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) actions: Vec<Action>,
    pub(crate) policy: Policy,
    pub(crate) labels: Vec<Box<str>>,
    pub(crate) reads: BTreeSet<Fact>,
    /// Its program, if it has nothing that programs do not know.
    pub(crate) program: Option<Program>,
}

/// Reads and validates native documents.
#[derive(Debug)]
pub(crate) struct NativeReader {
    validator: Validator,
}

impl NativeReader {
    pub(crate) fn new() -> Result<Self, CedarError> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(CedarError::new)?;
        Ok(Self {
            validator: Validator::new(schema),
        })
    }

    /// Reads a document; `first` is the id of its first policy. The problems that come with policies are warnings.
    pub(crate) fn read(
        &self,
        text: &PolicyText,
        first: usize,
    ) -> Result<(Vec<Native>, Vec<Problem>), Vec<Problem>> {
        let place = |offset: Option<usize>| place(text, offset);
        check_length(text)?;
        if let Err((offset, message)) = shallow(&text.text) {
            return Err(vec![Problem::error(place(Some(offset)), message)]);
        }
        let set = PolicySet::from_str(&text.text).map_err(|errors| {
            let problems = errors
                .iter()
                .map(|error| problem(text, error, Problem::error));
            problems.collect::<Vec<_>>()
        })?;
        if let Some(template) = set.templates().next() {
            let message = format!("policy `{}` is a template", template.id());
            let problem = Problem::error(place(None), message)
                .hint("replace `?principal` and `?resource` by entities");
            return Err(vec![problem]);
        }
        let result = self.validator.validate(&set, ValidationMode::Strict);
        let mut errors: Vec<Problem> = Vec::new();
        for error in result.validation_errors() {
            // The validator reports an error once for each kind of caller and action.
            let error = problem(text, error, Problem::error);
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let warnings = result
            .validation_warnings()
            .map(|warning| problem(text, warning, Problem::warning).code(Code::Cedar))
            .collect();
        let policies = native_policies(&set, first)
            .map_err(|error| vec![Problem::error(place(None), error.to_string())])?;
        let mut problems = misspelled_headers(text, &policies);
        problems.extend(long_patterns(text, &policies));
        if problems.is_empty() {
            Ok((policies, warnings))
        } else {
            Err(problems)
        }
    }
}

/// Long patterns in policies that the authorizer has to evaluate.
fn long_patterns(text: &PolicyText, policies: &[Native]) -> Vec<Problem> {
    let without_program = policies.iter().filter(|policy| policy.program.is_none());
    let lengths = without_program.filter_map(|native| {
        let tree = native.policy.to_pst().ok()?;
        Some(reads::longest_pattern(tree.body()))
    });
    let long = lengths.max().filter(|longest| *longest > MAX_PATTERN);
    let problem = long.map(|longest| {
        let message = format!("a pattern of {longest} characters in a policy with functions that take long");
        let hint = format!("beside arithmetic on dates, decimals and the like, patterns have {MAX_PATTERN} characters at most; use two policies");
        Problem::error(place(text, text.text.find("like")), message).hint(hint)
    });
    problem.into_iter().collect()
}

/// Headers that are named in upper case, which no request has: their tests would be false without a word.
fn misspelled_headers(text: &PolicyText, policies: &[Native]) -> Vec<Problem> {
    let reads: BTreeSet<&Fact> = policies.iter().flat_map(|policy| &policy.reads).collect();
    let names = reads.into_iter().filter_map(|fact| match fact {
        Fact::Header(name) if name.bytes().any(|byte| byte.is_ascii_uppercase()) => Some(&**name),
        _ => None,
    });
    let problem = |name: &str| {
        let offset = text.text.find(&format!("\"{name}\""));
        let message = format!("header `{name}` is not written in lower case");
        let lower = name.to_ascii_lowercase();
        Problem::error(place(text, offset), message).hint(format!("write `{lower}`"))
    };
    names.map(problem).collect()
}

/// The policies in the order of the document.
fn native_policies(set: &PolicySet, first: usize) -> Result<Vec<Native>, CedarError> {
    let mut policies: Vec<(usize, &Policy)> = set
        .policies()
        .map(|policy| {
            let number = policy.id().to_string();
            let number = number
                .strip_prefix("policy")
                .and_then(|digits| digits.parse().ok());
            (number.unwrap_or(usize::MAX), policy)
        })
        .collect();
    policies.sort_by_key(|(number, _)| *number);
    policies
        .into_iter()
        .enumerate()
        .map(|(position, (_, policy))| {
            native(&policy.new_id(PolicyId::new((first + position).to_string())))
        })
        .collect()
}

fn native(policy: &Policy) -> Result<Native, CedarError> {
    let tree = policy.to_pst().map_err(CedarError::new)?;
    let body = tree.body();
    let named = |uid: &pst::EntityUID, action: Action| uid.eid == action_name(action);
    let actions = Action::ALL.into_iter().filter(|action| match &body.action {
        pst::ActionConstraint::Any => true,
        pst::ActionConstraint::Eq(uid) => named(uid, *action),
        pst::ActionConstraint::In(uids) => uids.iter().any(|uid| named(uid, *action)),
    });
    let labels = body.clauses().iter().enumerate().map(|(position, clause)| {
        let word = match clause {
            pst::Clause::When(_) => "when",
            pst::Clause::Unless(_) => "unless",
        };
        format!("{word} {}", position + 1).into()
    });
    Ok(Native {
        annotated: policy
            .annotation("id")
            .filter(|id| !id.is_empty())
            .map(Into::into),
        effect: match policy.effect() {
            cedar_policy::Effect::Permit => Effect::Allow,
            cedar_policy::Effect::Forbid => Effect::Deny,
        },
        actions: actions.collect(),
        labels: labels.collect(),
        reads: reads::reads(body),
        program: compile_native(body),
        policy: policy.clone(),
    })
}

fn problem(
    text: &PolicyText,
    diagnostic: &(impl Diagnostic + ToString),
    kind: impl Fn(Place, String) -> Problem,
) -> Problem {
    let offset = diagnostic
        .labels()
        .and_then(|mut labels| labels.next())
        .map(|label| label.offset());
    let problem = kind(place(text, offset), diagnostic.to_string());
    match diagnostic.help() {
        Some(help) => problem.hint(help.to_string()),
        None => problem,
    }
}

fn place(text: &PolicyText, offset: Option<usize>) -> Place {
    if !text.place.path.is_empty() {
        return text.place.clone();
    }
    let before = text.text.get(..offset.unwrap_or(0)).unwrap_or_default();
    let lines = before.bytes().filter(|byte| *byte == b'\n').count();
    Place {
        line: u32::try_from(lines + 1).ok(),
        ..text.place.clone()
    }
}

/// Refuses texts whose syntax tree would be deep, before anything recurses into it.
fn shallow(text: &str) -> Result<(), (usize, String)> {
    let mut brackets: usize = 0;
    let mut operators: usize = 0;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b'"' => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'/' if bytes.peek().is_some_and(|(_, next)| *next == b'/') => {
                while bytes.next_if(|(_, byte)| *byte != b'\n').is_some() {}
            }
            b'(' | b'[' | b'{' => brackets += 1,
            b')' | b']' | b'}' => brackets = brackets.saturating_sub(1),
            b'!' | b'-' | b'+' | b'*' | b'.' | b'&' | b'|' | b'<' | b'>' | b'=' => operators += 1,
            // The end of a policy: what follows nests anew.
            b';' => operators = 0,
            // `if … then … else if …` nests without brackets; every word may be one.
            b'i' if text
                .get(offset..)
                .is_some_and(|rest| rest.starts_with("if")) =>
            {
                operators += 1;
            }
            _ => {}
        }
        if brackets > MAX_BRACKETS {
            return Err((
                offset,
                format!("brackets are nested more than {MAX_BRACKETS} deep"),
            ));
        }
        if operators > 2 * MAX_OPERATORS {
            return Err((
                offset,
                format!("a policy has more than {MAX_OPERATORS} operators"),
            ));
        }
    }
    Ok(())
}
