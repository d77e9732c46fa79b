//! The name that somebody probably meant.

/// The candidate most like `text`, if any is alike.
pub(super) fn nearest<'c>(
    text: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    // A text much longer than any name is like none, and comparing it would be slow.
    if text.len() > 200 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(text, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        // The name itself breaks ties, so that reports do not depend on the order of a hash table.
        .max_by(|(one, a), (other, b)| one.total_cmp(other).then_with(|| b.cmp(a)))
        .map(|(_, candidate)| candidate)
}
