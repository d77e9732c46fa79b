//! The texts of a table, end to end in one allocation.
//!
//! Ten thousand listeners with ten rules each hold hundreds of thousands of short texts. One allocation per table instead of one
//! per text saves most of their memory, and keeps what is compared together close together.

/// A range of a slice, in half the size of a `Range<usize>`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Selects no part of any slice, not even an empty one.
    const NOWHERE: Self = Self { start: 1, end: 0 };

    /// `start..end`, or nowhere when that does not fit: conditions on it then never hold. No table comes near four gibibytes.
    pub(super) fn new(start: usize, end: usize) -> Self {
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::NOWHERE,
        }
    }

    /// The part of `slice`.
    pub(super) fn of<T>(self, slice: &[T]) -> Option<&[T]> {
        slice.get(self.start as usize..self.end as usize)
    }

    /// Number of elements.
    pub(super) fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }
}

/// Appends `items` and says where they are.
pub(super) fn append<T: Clone>(all: &mut Vec<T>, items: &[T]) -> Span {
    let start = all.len();
    all.extend_from_slice(items);
    Span::new(start, all.len())
}
