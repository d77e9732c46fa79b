//! Where the keys of an issuer come from, as the request path sees it.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwapOption;

use super::KeySet;

/// The keys of one issuer, which whoever reads them replaces; none as long as none could be read. Clones share them.
#[derive(Clone, Default)]
pub struct KeySource {
    keys: Arc<ArcSwapOption<KeySet>>,
    /// Told of tokens that name a key which is not in the set.
    on_miss: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl KeySource {
    /// Keys that stay as they are.
    pub fn fixed(keys: KeySet) -> Self {
        Self {
            keys: Arc::new(ArcSwapOption::from_pointee(keys)),
            on_miss: None,
        }
    }

    /// No keys yet. `on_miss` is called whenever a token of the issuer names a key that is not in the set, as one does that was signed
    /// after the issuer changed its keys, and as anybody can make one do: it must cost nothing and must not wait.
    pub fn told_of_misses(on_miss: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            keys: Arc::default(),
            on_miss: Some(Arc::new(on_miss)),
        }
    }

    /// Replaces the keys.
    pub fn store(&self, keys: KeySet) {
        self.keys.store(Some(Arc::new(keys)));
    }

    /// The keys as they are now.
    pub fn load_full(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Are these the keys now?
    pub(super) fn holds(&self, keys: &Arc<KeySet>) -> bool {
        let current = self.keys.load();
        current.as_ref().is_some_and(|now| Arc::ptr_eq(now, keys))
    }

    /// A token names a key that is not here.
    pub(super) fn miss(&self) {
        if let Some(on_miss) = &self.on_miss {
            on_miss();
        }
    }
}

/// Shows the keys.
impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeySource").field(&self.keys).finish()
    }
}
