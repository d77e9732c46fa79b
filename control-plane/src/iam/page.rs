//! Lists in pages: `Marker`, `MaxItems`, `IsTruncated`.

use serde_json::json;

use super::given::{Given, invalid};
use crate::{
    lattice::page::{digest, open, seal},
    neighbor::{Refusal, Visit},
    xml::Xml,
};

/// Items of a page, unless something else is asked for.
const PAGE: usize = 100;
/// Most that can be asked for.
const MOST: usize = 1000;

/// Writes one page of items, which are sorted by the texts that they come with.
pub(super) fn list<I>(
    given: Given<'_>,
    visit: &Visit<'_>,
    (member, of): (&str, &str),
    mut items: Vec<(String, I)>,
    show: impl Fn(&mut Xml, &I),
) -> Result<Xml, Refusal> {
    items.sort_by(|(one, _), (other, _)| one.cmp(other));
    let list = digest(&json!(["iam", member, of, visit.account]));
    let most = match given.optional("MaxItems").map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(most)) if (1..=MOST).contains(&most) => most,
        Some(_) => return Err(invalid(format!("MaxItems must be between 1 and {MOST}"))),
    };
    let after = given.optional("Marker").map(|marker| {
        open(marker, &list).ok_or_else(|| invalid("The Marker is not valid for this list"))
    });
    let after = after.transpose()?;
    let rest = items
        .iter()
        .filter(|(name, _)| after.as_ref().is_none_or(|after| name > after));
    let mut shown: Vec<&(String, I)> = rest.take(most + 1).collect();
    let truncated = shown.len() > most;
    shown.truncate(most);
    let mut xml = Xml::default();
    xml.within(member, |xml| {
        for (_, item) in &shown {
            xml.within("member", |xml| show(xml, item));
        }
    });
    xml.text("IsTruncated", if truncated { "true" } else { "false" });
    if let Some((last, _)) = shown.last().filter(|_| truncated) {
        xml.text("Marker", &seal(last, &list));
    }
    Ok(xml)
}
