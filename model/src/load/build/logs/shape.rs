//! Which records a subscription gets, and how they look.

use std::collections::HashSet;

use crate::{
    config::{LogLayout, LogShape},
    document,
    load::{build::Builder, nearest::nearest, path::At},
    ranges,
    record::{
        ADDITIONS, Field, FieldSet, PathPattern, Sampling,
        template::{self, Template, TemplateError},
    },
};

impl Builder<'_> {
    /// How the records of a subscription look; none when a part of that cannot be read.
    pub(super) fn shape(
        &mut self,
        at: &At<'_>,
        written: &document::AccessLogSubscription,
    ) -> Option<LogShape> {
        let layout = self.layout(at, written);
        let redact = at.member("redact");
        let hidden = self.fields(&redact.member("fields"), &written.redact.fields, true);
        let hidden_paths = self.hidden_paths(&redact.member("paths"), &written.redact.paths);
        let sampling = self.sampling(&at.member("sampling"), &written.sampling);
        Some(LogShape {
            layout: layout?,
            hidden: hidden?,
            hidden_paths: hidden_paths?,
            sampling: sampling?,
        })
    }

    fn layout(
        &mut self,
        at: &At<'_>,
        written: &document::AccessLogSubscription,
    ) -> Option<LogLayout> {
        let fields = at.member("fields");
        let Some(format) = &written.format else {
            if written.fields.is_empty() {
                return Some(LogLayout::Fields(FieldSet::ALL));
            }
            return self
                .fields(&fields, &written.fields, false)
                .map(LogLayout::Fields);
        };
        if !written.fields.is_empty() {
            self.error(&fields, "`format` says already what a record holds")
                .hint("leave out one of the two");
            return None;
        }
        let at = at.member("format");
        match format {
            document::LogFormat::Text(text) => {
                let text = if text == "default" {
                    template::DEFAULT
                } else {
                    text
                };
                let read = Template::line(text);
                self.template(&at.member("text"), read).map(LogLayout::Text)
            }
            document::LogFormat::Json(members) => self.members(&at.member("json"), members),
        }
    }

    fn members(&mut self, at: &At<'_>, members: &[document::LogMember]) -> Option<LogLayout> {
        if members.is_empty() {
            self.error(at, "an empty list")
                .hint("such as `{key: status, value: \"%RESPONSE_CODE%\"}`");
            return None;
        }
        let mut keys = HashSet::new();
        let mut read = Vec::new();
        for (index, member) in members.iter().enumerate() {
            let at = at.index(index);
            if member.key.is_empty() || !keys.insert(member.key.as_str()) {
                self.error(
                    &at.member("key"),
                    format!("the key `{}` is empty or there already", member.key),
                );
            } else if let Some(value) =
                self.template(&at.member("value"), Template::value(&member.value))
            {
                read.push((member.key.as_str().into(), value));
            }
        }
        let operators: usize = read
            .iter()
            .map(|(_, value): &(Box<str>, Template)| value.operators().count())
            .sum();
        let texts: usize = read.iter().map(|(_, value)| value.texts()).sum();
        let size: usize = members
            .iter()
            .map(|member| member.key.len() + member.value.len())
            .sum();
        if operators > template::MOST_OPERATORS
            || texts > template::MOST_TEXTS
            || size > template::LONGEST
        {
            self.error(at, format!(
                "keys and values have more than {} bytes, {} operators, or {} operators of texts",
                template::LONGEST, template::MOST_OPERATORS, template::MOST_TEXTS,
            ));
            return None;
        }
        (read.len() == members.len()).then(|| LogLayout::Members(read.into()))
    }

    fn template(&mut self, at: &At<'_>, read: Result<Template, TemplateError>) -> Option<Template> {
        read.map_err(|error| {
            self.error(at, error.to_string())
                .hint("docs/access-records.md lists the operators");
        })
        .ok()
    }

    /// Fields by name; `redacted` ones must be such as can be.
    fn fields(&mut self, at: &At<'_>, names: &[String], redacted: bool) -> Option<FieldSet> {
        let mut set = FieldSet::NONE;
        let mut whole = true;
        for (index, name) in names.iter().enumerate() {
            let at = at.index(index);
            match Field::named(name) {
                Some(field) if redacted && !field.is_redactable() => {
                    self.error(&at, format!("`{name}` holds neither a text nor an address"))
                        .hint("leave it out with `fields`");
                    whole = false;
                }
                Some(field) => set = set.with(field),
                None if name == ADDITIONS && !redacted => {
                    let additions = Field::ALL.iter().filter(|field| field.is_addition());
                    set = additions.fold(set, |set, field| set.with(*field));
                }
                None => {
                    let known = Field::ALL.iter().map(|field| field.name());
                    let hint = nearest(name, known).map_or_else(
                        || "docs/access-records.md lists the fields".to_owned(),
                        |known| format!("did you mean `{known}`?"),
                    );
                    self.error(&at, format!("records have no field `{name}`"))
                        .hint(hint);
                    whole = false;
                }
            }
        }
        whole.then_some(set)
    }

    fn hidden_paths(&mut self, at: &At<'_>, patterns: &[String]) -> Option<Box<[PathPattern]>> {
        let read: Vec<PathPattern> = patterns
            .iter()
            .enumerate()
            .filter_map(|(index, pattern)| {
                let read = pattern
                    .parse()
                    .map_err(|error: crate::record::PathPatternError| {
                        self.error(&at.index(index), error.to_string())
                            .hint("such as `/customers/*/cards/*`");
                    });
                read.ok()
            })
            .collect();
        (read.len() == patterns.len()).then(|| read.into())
    }

    fn sampling(&mut self, at: &At<'_>, written: &document::LogSampling) -> Option<Sampling> {
        let mut one_in = |name, number: Option<i64>| match number {
            None => Some(None),
            Some(number) => self
                .in_range::<u32>(&at.member(name), number, &ranges::LOG_SAMPLING)
                .map(Some),
        };
        let all = one_in("oneIn", written.one_in);
        let success = one_in("oneIn2xx", written.one_in_2xx);
        let redirection = one_in("oneIn3xx", written.one_in_3xx);
        let client_error = one_in("oneIn4xx", written.one_in_4xx);
        let all = all?.unwrap_or(1);
        Some(Sampling {
            success: success?.unwrap_or(all),
            redirection: redirection?.unwrap_or(all),
            client_error: client_error?.unwrap_or(all),
        })
    }
}
