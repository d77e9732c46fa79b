//! Which zone a name is in.

#[cfg(test)]
mod tests;

/// Where a name stands among the zones that a VPC sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position<'a> {
    /// A visible service, in this zone.
    Service(&'a str),
    /// The top of the zone of generated names, or a name between it and the services.
    Empty(&'a str),
    /// In this zone, but not there.
    Missing(&'a str),
    /// In no zone.
    Foreign,
}

/// Finds the place of `name` (lower case, no trailing dot).
///
/// `generated` is the zone of generated names, `vpc-lattice-svcs.<region>.on.aws`; `shard` is the one label between it and the
/// services; `visible` says whether a name is that of a service the VPC may meet. A custom domain is a zone of its own, so
/// nothing above it is ours, and everything below it is.
pub fn locate<'a>(
    name: &'a str,
    generated: &'a str,
    shard: &str,
    visible: impl Fn(&str) -> bool,
) -> Position<'a> {
    if name == generated {
        return Position::Empty(generated);
    }
    let inside = name
        .strip_suffix(generated)
        .and_then(|rest| rest.strip_suffix('.'));
    if let Some(rest) = inside {
        return if visible(name) {
            Position::Service(generated)
        } else if rest == shard {
            Position::Empty(generated)
        } else {
            Position::Missing(generated)
        };
    }
    if visible(name) {
        return Position::Service(name);
    }
    let mut above = name;
    while let Some((_, parent)) = above.split_once('.') {
        if visible(parent) {
            return Position::Missing(parent);
        }
        above = parent;
    }
    Position::Foreign
}
