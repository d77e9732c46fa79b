//! `docs/reference/cli.md`: the help of every command, kept the same by a test. `UPDATE_GOLDEN=1` rewrites the page.

use std::{fmt::Write as _, fs, path::Path};

use clap::CommandFactory as _;

use super::Cli;

/// Columns of the page, whatever terminal the test runs in.
const WIDTH: usize = 100;

#[test]
fn the_page_of_commands_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/cli.md");
    let page = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/reference/cli.md differs (UPDATE_GOLDEN=1 rewrites it):\n{page}"
    );
}

fn page() -> String {
    let mut page = "\
# Command line

What `trellis --help` and `trellis <command> --help` print. This page is made from the options themselves; a test keeps the two the
same.
"
    .to_owned();
    let mut cli = Cli::command().term_width(WIDTH);
    cli.build();
    add(&mut page, "trellis", &mut cli);
    let names: Vec<String> = cli
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .filter(|name| name != "help")
        .collect();
    for name in names {
        let command = cli.find_subcommand_mut(&name).unwrap();
        add(&mut page, &format!("trellis {name}"), command);
        for inner in command.get_subcommands_mut() {
            if inner.get_name() != "help" {
                let title = format!("trellis {name} {}", inner.get_name());
                add(&mut page, &title, inner);
            }
        }
    }
    page
}

fn add(page: &mut String, title: &str, command: &mut clap::Command) {
    let help = command.render_long_help().to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    write!(page, "\n## {title}\n\n```\n{}\n```\n", lines.join("\n")).unwrap();
}
