//! A function in Rust that speaks Lambda's runtime API by itself.
//!
//! What it answers depends on the path that it is told; to most it says, as a text, the event as it came.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
};

fn main() -> io::Result<()> {
    let api = env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    loop {
        let (id, event) = call(&api, "GET", "next", "")?;
        let (outcome, text) = outcome(&event);
        call(&api, "POST", &format!("{id}/{outcome}"), &text)?;
    }
}

/// What becomes of an event: where it is to be reported, and the report.
fn outcome(event: &str) -> (&'static str, String) {
    match text(event, "path") {
        "/fail" => {
            let error = r#"{"errorType":"Error","errorMessage":"a secret of the function"}"#;
            ("error", error.to_owned())
        }
        "/nonsense" => ("response", "no answer".to_owned()),
        "/binary" => {
            let body = text(event, "body");
            let result = format!(r#"{{"statusCode":200,"body":"{body}","isBase64Encoded":true}}"#);
            ("response", result)
        }
        _ => {
            let headers = r#"{"content-type":"application/json","set-cookie":["a=1","b=2"]}"#;
            let body = event.replace('\\', r"\\").replace('"', r#"\""#);
            let result = format!(r#"{{"statusCode":201,"headers":{headers},"body":"{body}"}}"#);
            ("response", result)
        }
    }
}

/// The value of the first member with this name; the tests have none with an escaped character in it.
fn text<'a>(event: &'a str, name: &str) -> &'a str {
    let value = event.split_once(&format!(r#""{name}":""#));
    let value = value.and_then(|(_, rest)| rest.split_once('"'));
    value.map_or("", |(value, _)| value)
}

/// Calls the runtime API; gives the id of the invocation, if the answer names one, and the body.
///
/// Source: AWS Lambda developer guide, "Using the Lambda runtime API for custom runtimes".
fn call(api: &str, method: &str, path: &str, body: &str) -> io::Result<(String, String)> {
    // The emulator gives a URL with a path, Lambda itself a bare address.
    let api = api.strip_prefix("http://").unwrap_or(api);
    let (address, base) = api.split_at(api.find('/').unwrap_or(api.len()));
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{method} {base}/2018-06-01/runtime/invocation/{path} HTTP/1.1\r\n\
         Host: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "lambda-runtime-aws-request-id" => value.clone_into(&mut id),
            "content-length" => length = value.parse().map_err(io::Error::other)?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).map_err(io::Error::other)?;
    Ok((id, body))
}
