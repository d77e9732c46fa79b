//! The command line as a whole.

use clap::CommandFactory as _;

use super::Cli;

#[test]
fn options_do_not_contradict_each_other() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_says_what_it_does_and_gives_examples() {
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "`{name}` says nothing");
        let after = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(
            after.contains(&format!("trellis {name}")),
            "`{name}` has no examples"
        );
    }
}
