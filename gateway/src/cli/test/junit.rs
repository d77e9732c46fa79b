//! What came of the tests, as XML that most pipelines can show.
//!
//! Source: the format of `JUnit`'s XML reports as Jenkins and GitLab read it: `testsuites`, `testsuite`, `testcase`, `failure`.

use std::fmt::{self, Display, Formatter, Write as _};

use super::report::{Outcome, Summary};

/// A report in XML.
pub(super) struct Suites<'a>(pub(super) &'a Summary);

impl Display for Suites<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Summary { tests, failed, .. } = self.0;
        let number = tests.len();
        writeln!(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(
            f,
            "<testsuites name=\"trellis test\" tests=\"{number}\" failures=\"{failed}\">"
        )?;
        for suite in tests.chunk_by(|one, other| one.place.file == other.place.file) {
            write_suite(f, suite)?;
        }
        writeln!(f, "</testsuites>")
    }
}

/// The tests of one file.
fn write_suite(f: &mut Formatter<'_>, tests: &[Outcome]) -> fmt::Result {
    let file = tests.first().map(Outcome::file).unwrap_or_default();
    let failed = tests.iter().filter(|test| !test.passed()).count();
    writeln!(
        f,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">",
        Escaped(&file),
        tests.len()
    )?;
    for test in tests {
        write!(
            f,
            "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\"",
            Escaped(&test.name),
            Escaped(&file),
            Escaped(&file)
        )?;
        if let Some(line) = test.place.line {
            write!(f, " line=\"{line}\"")?;
        }
        if test.passed() {
            writeln!(f, "/>")?;
            continue;
        }
        let failures: Vec<String> = test
            .verdict
            .failures
            .iter()
            .map(ToString::to_string)
            .collect();
        let message = failures.join("; ");
        let text = test.verdict.explained.text().to_string();
        writeln!(
            f,
            ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
            Escaped(&message),
            Escaped(&text)
        )?;
    }
    writeln!(f, "  </testsuite>")
}

/// A text within XML. What XML cannot hold at all becomes U+FFFD. Spec: XML 1.0 §2.2, §2.4.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\n' | '\t' => f.write_char(character)?,
                '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}
