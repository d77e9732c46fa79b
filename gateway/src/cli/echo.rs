//! `trellis echo`: a target that answers with what it received.

use std::{io::Write, net::SocketAddr};

use clap::Args;
use serde_json::json;

use super::{failure::Failure, output::OutputFormat, stop::wait_for_stop};
use crate::echo::{self, DEFAULT_HEALTHY_PATH, EchoError, EchoOptions, Transport};

/// Run a target that answers with what it received.
///
/// One port speaks HTTP/1.1, HTTP/2 with prior knowledge, gRPC (trellis.Echo and grpc.health.v1.Health) and WebSocket. The answer
/// is a JSON description of the request: method, path, query, version, headers, body, peer, TLS. A call of the Lambda Invoke API is
/// answered as by a function that gives back its event.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Echo {
    /// Address and port to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9101")]
    listen: SocketAddr,
    /// The name given in every answer.
    #[arg(long, default_value = "echo")]
    name: String,
    /// Speak TLS, with a certificate signed by itself.
    #[arg(long)]
    tls: bool,
    /// The path answered with `healthy`, for health checks.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_HEALTHY_PATH)]
    healthy_path: String,
    /// How the bound address is printed, on the first line.
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

const AFTER_HELP: &str = "\
A request can ask for trouble, by query or by header (`x-echo-status: 503`):
  status=503            the status of the answer
  delay=200ms           wait before the answer
  bytes=1048576         a body of that many bytes
  chunked               no Content-Length
  pace=50ms             wait between the pieces of the body
  close, close=before   die halfway through the body, or before the answer
  trailers              trailers after the body
  early                 answer before reading the request's body
  header=name:value     one more response header

Examples:
  trellis echo
  trellis echo --listen 127.0.0.1:0 --name orders-v1 --output json
  trellis echo --listen 127.0.0.1:9443 --tls
  curl 'http://127.0.0.1:9101/any/path?status=503&delay=200ms'";

impl Echo {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        let format = self.output;
        let options = self.options();
        let name = options.name.clone();
        let handle = echo::spawn(options)?;
        let address = handle.addr();
        match format {
            OutputFormat::Text => writeln!(out, "{name} listens on {address}")?,
            OutputFormat::Json => writeln!(out, "{}", json!({"name": name, "address": address}))?,
        }
        out.flush()?;
        wait_for_stop()?;
        Ok(())
    }

    fn options(self) -> EchoOptions {
        EchoOptions {
            name: self.name,
            listen: self.listen,
            transport: if self.tls {
                Transport::Tls
            } else {
                Transport::Plain
            },
            healthy_path: self.healthy_path,
        }
    }
}

impl From<EchoError> for Failure {
    fn from(error: EchoError) -> Self {
        match error {
            // Whoever named the address must name another.
            EchoError::Listen { .. } => Self::Usage(Box::new(error)),
            EchoError::Start(_) | EchoError::Certificate(_) | EchoError::Tls(_) => {
                Self::runtime(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
