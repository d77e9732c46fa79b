//! The XML of answers: elements and texts, nothing else.

/// A document being written.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

impl Xml {
    /// An element with others in it.
    pub(crate) fn within(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.open(name, "");
        inner(self);
        self.close(name);
    }

    /// The same with a namespace.
    pub(crate) fn within_namespace(
        &mut self,
        name: &str,
        namespace: &str,
        inner: impl FnOnce(&mut Self),
    ) {
        self.open(name, namespace);
        inner(self);
        self.close(name);
    }

    /// An element with a text in it.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.within(name, |xml| xml.plain(text));
    }

    /// A text by itself.
    pub(crate) fn plain(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                // Spec: XML 1.0 §2.2: other control characters cannot be written at all.
                c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => {
                    self.0.push('\u{fffd}');
                }
                '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
    }

    /// What another document holds.
    pub(crate) fn raw(&mut self, inner: &str) {
        self.0.push_str(inner);
    }

    /// The document.
    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn open(&mut self, name: &str, namespace: &str) {
        self.0.push('<');
        self.0.push_str(name);
        if !namespace.is_empty() {
            self.0.push_str(" xmlns=\"");
            self.0.push_str(namespace);
            self.0.push('"');
        }
        self.0.push('>');
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push_str(">\n");
    }
}
