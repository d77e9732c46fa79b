//! Settings of the command line.

use clap::Parser as _;

use super::super::{Cli, Command};

#[test]
fn settings_of_the_command_line_win() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trellis.yaml");
    let document = "account: \"111122223333\"\nregion: us-west-2\ngateway: {admin: \"127.0.0.1:1\", workers: 3}\n";
    std::fs::write(&path, document).unwrap();
    let config = |options: &str| {
        let line = format!("trellis serve --config {}{options}", path.display());
        let Command::Serve(serve) = Cli::parse_from(line.split(' ')).command else {
            panic!("not `serve`");
        };
        serve.configuration().load().unwrap().config.gateway
    };
    let written = config("");
    assert_eq!(written.admin, "127.0.0.1:1".parse().ok());
    assert_eq!(written.workers.unwrap().get(), 3);
    assert!(written.dns.is_none());
    let given = config(
        " --admin 127.0.0.1:2 --workers 5 --data-dir /d --dns-listen 127.0.0.1:3 --dns-listen 127.0.0.2:3",
    );
    assert_eq!(given.admin, "127.0.0.1:2".parse().ok());
    assert_eq!(given.workers.unwrap().get(), 5);
    assert_eq!(given.data_dir, std::path::Path::new("/d"));
    assert_eq!(given.dns.unwrap().listen.len(), 2);
}
