//! From the texts of policies to layers, each text once.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Weak},
};

use parking_lot::Mutex;
use trellis_model::{
    config::{PolicyLanguage, PolicyText},
    problem::{Place, Problem, Severity},
};

use crate::{
    cedar::{CedarError, native::NativeReader},
    iam::read::{Attached, Signers, read},
    layer::{Body, Compiled, Layer, compile_statement},
};

/// What makes two layers the same: where they are attached, and their texts.
type Texts = (Attached, Vec<(PolicyLanguage, Arc<str>)>);

/// Reading the schema takes longer than compiling a policy, and most configurations have no native ones.
pub(crate) static NATIVE: LazyLock<Result<NativeReader, CedarError>> =
    LazyLock::new(NativeReader::new);

/// Fewest texts that are worth a look for those that nobody needs any more.
const FEW: usize = 1_024;

/// The layers of the running configuration by their texts, handed from one configuration to the next: whatever has a text that was
/// compiled before gets that layer. It keeps no layer alive, and forgets those that are gone whenever it has doubled.
///
/// A layer depends on its texts only; what there is to report about them also on [`Signers`] and on the place.
#[derive(Debug, Default)]
pub(crate) struct Library(Mutex<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    layers: HashMap<Texts, Known, foldhash::fast::RandomState>,
    /// Number of texts at which it is time to look for those that are gone.
    full: usize,
}

#[derive(Debug)]
struct Known {
    layer: Weak<Layer>,
    /// Those who could sign when there was nothing to report about the texts.
    clean: Option<Weak<Signers>>,
}

impl Library {
    fn find(
        &self,
        texts: &Texts,
        signers: Option<&Arc<Signers>>,
    ) -> Option<(Arc<Layer>, Findings)> {
        let shelves = self.0.lock();
        let known = shelves.layers.get(texts)?;
        let layer = known.layer.upgrade()?;
        let clean = match (&known.clean, signers) {
            (Some(clean), Some(signers)) => std::ptr::eq(clean.as_ptr(), Arc::as_ptr(signers)),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let findings = if clean {
            Findings::None
        } else {
            Findings::Some
        };
        Some((layer, findings))
    }

    fn keep(
        &self,
        texts: Texts,
        layer: &Arc<Layer>,
        findings: Findings,
        signers: Option<&Arc<Signers>>,
    ) {
        let mut shelves = self.0.lock();
        if shelves.layers.len() >= shelves.full {
            shelves
                .layers
                .retain(|_, known| known.layer.strong_count() > 0);
            shelves.full = FEW.max(2 * shelves.layers.len());
        }
        let clean =
            (findings == Findings::None).then(|| signers.map(Arc::downgrade).unwrap_or_default());
        let layer = Arc::downgrade(layer);
        shelves.layers.insert(texts, Known { layer, clean });
    }

    /// How many texts it knows, those included that nobody needs any more.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().layers.len()
    }
}

/// Was there anything to report about a text? It is reported for every place that has the text, so it is read again for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Findings {
    None,
    Some,
}

/// Makes layers, and collects what there is to report about them.
#[derive(Default)]
pub(super) struct Compiler {
    /// Everybody who can sign; `None` where that is not known.
    pub(super) signers: Option<Arc<Signers>>,
    pub(super) library: Arc<Library>,
    /// What was made. The library keeps nothing alive, and a policy that does not count is in nobody else's hands.
    pub(super) made: Vec<Arc<Layer>>,
    /// Errors and warnings.
    pub(super) problems: Vec<Problem>,
}

impl Compiler {
    /// The layer of these policies, with what there is to report about them where they are.
    pub(super) fn layer(&mut self, attached: Attached, policies: &[PolicyText]) -> Arc<Layer> {
        let texts = policies
            .iter()
            .map(|policy| (policy.language, Arc::clone(&policy.text)));
        let texts: Texts = (attached, texts.collect());
        let known = self.library.find(&texts, self.signers.as_ref());
        if let Some((layer, Findings::None)) = known {
            return layer;
        }
        let before = self.problems.len();
        let mut statements = Vec::new();
        for (number, policy) in policies.iter().enumerate() {
            let prefix = if policies.len() > 1 {
                format!("policy {} ", number + 1)
            } else {
                String::new()
            };
            self.add(attached, policy, &prefix, &mut statements);
        }
        let findings = if self.problems.len() == before {
            Findings::None
        } else {
            Findings::Some
        };
        let layer = match known {
            Some((layer, _)) => layer,
            None => Arc::new(Layer::new(statements)),
        };
        self.made.push(Arc::clone(&layer));
        self.library
            .keep(texts, &layer, findings, self.signers.as_ref());
        layer
    }

    fn add(
        &mut self,
        attached: Attached,
        policy: &PolicyText,
        prefix: &str,
        statements: &mut Vec<Compiled>,
    ) {
        let result = match policy.language {
            PolicyLanguage::Iam => self.add_iam(attached, policy, prefix, statements),
            PolicyLanguage::Cedar => self.add_native(policy, prefix, statements),
        };
        if let Err(problems) = result {
            self.problems.extend(problems);
        }
    }

    fn add_iam(
        &mut self,
        attached: Attached,
        policy: &PolicyText,
        prefix: &str,
        statements: &mut Vec<Compiled>,
    ) -> Result<(), Vec<Problem>> {
        let (document, warnings) = read(policy, attached, self.signers.as_deref())?;
        self.problems.extend(warnings);
        for (position, statement) in document.statements.into_iter().enumerate() {
            let name = match &statement.sid {
                Some(sid) => format!("{prefix}statement `{sid}`"),
                None => format!("{prefix}statement {}", position + 1),
            };
            let compiled =
                compile_statement(statement, statements.len(), name.into()).map_err(|error| {
                    let message = format!("statement {} has no translation: {error}", position + 1);
                    vec![Problem::error(policy.place.clone(), message)]
                })?;
            statements.push(compiled);
        }
        Ok(())
    }

    fn add_native(
        &mut self,
        policy: &PolicyText,
        prefix: &str,
        statements: &mut Vec<Compiled>,
    ) -> Result<(), Vec<Problem>> {
        let native = NATIVE
            .as_ref()
            .map_err(|error| vec![Problem::error(policy.place.clone(), error.to_string())])?;
        let (natives, warnings) = native.read(policy, statements.len())?;
        self.problems.extend(warnings);
        for (position, native) in natives.into_iter().enumerate() {
            let name = match &native.annotated {
                Some(id) => format!("{prefix}Cedar policy `{id}`"),
                None => format!("{prefix}Cedar policy {}", position + 1),
            };
            statements.push(Compiled {
                name: name.into(),
                effect: native.effect,
                body: Body::Native(Box::new(native)),
            });
        }
        Ok(())
    }
}

/// The policies of a session as a layer of their own; `None` when one cannot be read.
pub(crate) fn session_layer(policies: &[Box<str>]) -> Option<Arc<Layer>> {
    let policies: Vec<PolicyText> = policies.iter().map(|text| session_policy(text)).collect();
    let mut compiler = Compiler::default();
    let layer = compiler.layer(Attached::ToIdentity, &policies);
    let wrong = |problem: &Problem| problem.severity == Severity::Error;
    (!compiler.problems.iter().any(wrong)).then_some(layer)
}

/// A policy that came with a session.
fn session_policy(text: &str) -> PolicyText {
    PolicyText {
        language: PolicyLanguage::Iam,
        text: text.into(),
        place: Place::default(),
    }
}
