//! Command lines of the echo.

use clap::Parser as _;

use crate::{
    cli::{Cli, Command},
    echo::Transport,
};

#[test]
fn options_reach_the_echo() {
    let line = "trellis echo --listen 127.0.0.1:0 --name x --tls --healthy-path /up --output json";
    let Command::Echo(echo) = Cli::parse_from(line.split(' ')).command else {
        panic!("not `echo`");
    };
    let options = echo.options();
    assert_eq!(options.name, "x");
    assert_eq!(options.listen.to_string(), "127.0.0.1:0");
    assert_eq!(options.transport, Transport::Tls);
    assert_eq!(options.healthy_path, "/up");
}
