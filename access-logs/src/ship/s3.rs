//! S3, and what speaks its protocol.
//!
//! The key of an object is made of the first record in it, so an upload that is repeated because its answer was lost replaces the
//! object of the first attempt rather than standing beside it. What the server says that it stored is compared with what was sent:
//! a server that accepts and stores something else has not accepted.

use std::{fmt::Write as _, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{HeaderValue, Method, StatusCode, header};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use time::{OffsetDateTime, macros::format_description};
use trellis_model::config::{AwsSigner, Compression};

use super::{
    Facts,
    calls::Failure,
    http::{Client, Reply, request},
    sign::{Service, add_signature},
};
use crate::spool::{
    Position,
    reader::{Batch, Bounds, Reader, Segments},
};

/// Size of a part; what is smaller is uploaded at once. Source: S3 user guide, "Multipart upload limits": 5 MiB to 5 GiB.
const PART: usize = 5 << 20;
/// Records that are compressed at once.
const CHUNK: usize = 1 << 20;
/// Level of zstd: its own default.
const ZSTD_LEVEL: i32 = 3;

/// A bucket.
pub(super) struct S3 {
    pub(super) client: Client,
    pub(super) signer: Option<AwsSigner>,
    pub(super) bucket: Box<str>,
    pub(super) prefix: Box<str>,
    pub(super) path_style: bool,
    pub(super) compression: Compression,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// A multipart upload that has begun.
struct Upload {
    id: String,
    /// `ETag`s of its parts, in order.
    parts: Vec<String>,
    /// What the `ETag` of the whole is made of.
    digests: Vec<u8>,
}

impl S3 {
    /// Bytes of memory that an upload takes: a part that is being made, one that is being sent, records before and after they are
    /// read.
    pub(super) const MEMORY: usize = 2 * PART + 3 * CHUNK;

    /// Uploads an object with the reader's next records; returns where the next one begins. Records of another day are left for the
    /// next object, because the day is in its key.
    pub(super) async fn upload(
        &mut self,
        segments: &impl Segments,
        reader: &mut Reader,
        facts: &Facts,
        (bytes, before): (usize, u64),
    ) -> Result<Position, Failure> {
        let mut bounds = Bounds {
            records: 1,
            before,
            ..Bounds::bytes(CHUNK)
        };
        let mut chunk = read(reader, segments, &bounds)?;
        let Some(first) = chunk.items().next() else {
            return Ok(chunk.end);
        };
        let path = self.path(&key(
            &self.prefix,
            facts,
            self.compression,
            first.number,
            first.time,
        ));
        let day = first.time / Bounds::DAY * Bounds::DAY;
        bounds.within = (day, day + Bounds::DAY);
        bounds.records = usize::MAX;
        let mut object = Compressor::new(self.compression).map_err(Failure::Again)?;
        let mut upload = None;
        let mut left = bytes;
        let result = loop {
            left = left.saturating_sub(chunk.bytes());
            if let Err(error) = object.add(&chunk) {
                break Err(error);
            }
            if object.bytes().len() >= PART
                && let Err(error) = self.add_part(&path, &mut upload, object.take()).await
            {
                break Err(error);
            }
            bounds.bytes = left.min(CHUNK);
            if left == 0 {
                break Ok(());
            }
            chunk = match read(reader, segments, &bounds) {
                Ok(chunk) if chunk.is_empty() => break Ok(()),
                Ok(chunk) => chunk,
                Err(error) => break Err(error),
            };
            // Other shippers live on this thread.
            tokio::task::yield_now().await;
        };
        let result = match result.and_then(|()| object.finish()) {
            Ok(rest) => self.finish(&path, &mut upload, rest).await,
            Err(error) => Err(error),
        };
        if let (Err(_), Some(upload)) = (&result, upload) {
            // Parts of uploads that are never finished are kept, and paid for. That this may fail as well cannot be helped.
            let target = format!("{path}?uploadId={}", escape(&upload.id));
            let _ = self.call(Method::DELETE, &target, Bytes::new()).await;
        }
        result.map(|()| reader.position())
    }

    fn path(&self, key: &str) -> String {
        let key = key.split('/').map(escape).collect::<Vec<_>>().join("/");
        if self.path_style {
            format!("/{}/{key}", self.bucket)
        } else {
            format!("/{key}")
        }
    }

    async fn add_part(
        &mut self,
        path: &str,
        upload: &mut Option<Upload>,
        part: Vec<u8>,
    ) -> Result<(), Failure> {
        if upload.is_none() {
            let reply = self
                .call(Method::POST, &format!("{path}?uploads="), Bytes::new())
                .await?;
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            let id = element(&body, "UploadId")
                .ok_or_else(|| Failure::Again("an upload without an id".to_owned()))?;
            *upload = Some(Upload {
                id,
                parts: Vec::new(),
                digests: Vec::new(),
            });
        }
        let Some(upload) = upload else {
            return Ok(());
        };
        let number = upload.parts.len() + 1;
        let target = format!("{path}?partNumber={number}&uploadId={}", escape(&upload.id));
        let digest = Md5::digest(&part);
        let reply = self.call(Method::PUT, &target, part.into()).await?;
        let tag = stored(&reply, &hex(&digest))?
            .ok_or_else(|| Failure::Again("a part without an ETag".to_owned()))?;
        upload.parts.push(tag);
        upload.digests.extend_from_slice(&digest);
        Ok(())
    }

    /// Uploads what is left, or all there is.
    async fn finish(
        &mut self,
        path: &str,
        upload: &mut Option<Upload>,
        rest: Vec<u8>,
    ) -> Result<(), Failure> {
        if upload.is_none() {
            let digest = hex(&Md5::digest(&rest));
            let size = rest.len();
            let reply = self.call(Method::PUT, path, rest.into()).await?;
            return match stored(&reply, &digest)? {
                Some(tag) if tag == digest => Ok(()),
                // Not every server's ETag is a checksum; then the size has to do.
                _ => self.check_size(path, size).await,
            };
        }
        if !rest.is_empty() {
            self.add_part(path, upload, rest).await?;
        }
        let Some(upload) = upload else {
            return Ok(());
        };
        let mut body = String::from("<CompleteMultipartUpload>");
        for (number, tag) in (1..).zip(&upload.parts) {
            let _ = write!(
                body,
                "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{tag}&quot;</ETag></Part>"
            );
        }
        body.push_str("</CompleteMultipartUpload>");
        let target = format!("{path}?uploadId={}", escape(&upload.id));
        let reply = self.call(Method::POST, &target, body.into()).await?;
        let answer = String::from_utf8_lossy(&reply.body).into_owned();
        // Spec: S3 API reference, `CompleteMultipartUpload`: the status is sent before the work is done, so it may be 200 for an error.
        if answer.contains("<Error>") || !answer.contains("ETag") {
            return Err(Failure::Again(error_text(reply.status, &answer)));
        }
        let wanted = format!(
            "{}-{}",
            hex(&Md5::digest(&upload.digests)),
            upload.parts.len()
        );
        let tag = element(&answer, "ETag").unwrap_or_default();
        let tag = tag.replace("&quot;", "").replace(['"'], "");
        let is_checksum =
            tag.len() == wanted.len() && tag.ends_with(wanted.get(32..).unwrap_or_default());
        if is_checksum && tag != wanted {
            return Err(lie(&tag, &wanted));
        }
        Ok(())
    }

    async fn check_size(&mut self, path: &str, size: usize) -> Result<(), Failure> {
        let reply = self.call(Method::HEAD, path, Bytes::new()).await?;
        let found = reply
            .header("content-length")
            .unwrap_or_default()
            .to_owned();
        if found == size.to_string() {
            Ok(())
        } else {
            Err(lie(&found, &size.to_string()))
        }
    }

    async fn call(&mut self, method: Method, target: &str, body: Bytes) -> Result<Reply, Failure> {
        let mut call =
            request(&self.client, method, target, body.clone()).map_err(Failure::Again)?;
        let headers = call.headers_mut();
        if !body.is_empty() {
            let digest = STANDARD.encode(Md5::digest(&body));
            let digest = HeaderValue::from_str(&digest);
            let digest = digest.map_err(|error| Failure::Again(error.to_string()))?;
            headers.insert("content-md5", digest);
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            );
        }
        let signer = self.signer.as_ref();
        add_signature(&mut call, &body, Service::S3, signer, SystemTime::now())
            .map_err(Failure::Again)?;
        let reply = self.client.send(call).await.map_err(Failure::Again)?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        let body = String::from_utf8_lossy(&reply.body);
        Err(Failure::Again(error_text(reply.status, &body)))
    }
}

fn read(reader: &mut Reader, segments: &impl Segments, bounds: &Bounds) -> Result<Batch, Failure> {
    reader
        .next(segments, bounds)
        .map_err(|error| Failure::Again(format!("the spool cannot be read: {error}")))
}

/// What the server says that it stored; an error when it says that it stored something else.
///
/// Spec: S3 API reference, `Object`: the `ETag` is the MD5 of what was uploaded, unless it is encrypted with a customer's key.
fn stored(reply: &Reply, digest: &str) -> Result<Option<String>, Failure> {
    let Some(tag) = reply.header("etag") else {
        return Ok(None);
    };
    let tag = tag.trim_matches('"');
    let encrypted = reply
        .header("x-amz-server-side-encryption")
        .is_some_and(|how| how != "AES256")
        || reply
            .header("x-amz-server-side-encryption-customer-algorithm")
            .is_some();
    let is_checksum = tag.len() == 32 && tag.bytes().all(|b| b.is_ascii_hexdigit());
    if is_checksum && !encrypted && !tag.eq_ignore_ascii_case(digest) {
        return Err(lie(tag, digest));
    }
    Ok(Some(tag.to_owned()))
}

fn lie(found: &str, wanted: &str) -> Failure {
    Failure::Again(format!("stored `{found}` instead of `{wanted}`"))
}

fn error_text(status: StatusCode, body: &str) -> String {
    let code = element(body, "Code").unwrap_or_default();
    let message = element(body, "Message").unwrap_or_default();
    let message: String = message.chars().take(300).collect();
    format!("answer {}: {code} {message}", status.as_u16())
        .trim_end_matches([' ', ':'])
        .to_owned()
}

/// The text of the first element of this name. The documents are short and flat, and what is taken from them is checked by its use.
fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    Some(
        inner
            .replace("&quot;", "\"")
            .replace("&#34;", "\"")
            .replace("&amp;", "&"),
    )
}

/// The key of the object whose first record has this number and this time.
///
/// Spec: VPC Lattice user guide, "Access log contents": the layout of keys.
pub(super) fn key(
    prefix: &str,
    facts: &Facts,
    compression: Compression,
    number: u64,
    time: u64,
) -> String {
    let seconds = i64::try_from(time / 1000).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let day = time
        .format(format_description!("[year]/[month]/[day]"))
        .unwrap_or_default();
    let minute = time
        .format(format_description!("[year][month][day]T[hour][minute]Z"))
        .unwrap_or_default();
    let hash = Sha256::new()
        .chain_update(&facts.node)
        .chain_update(&facts.id)
        .chain_update(number.to_be_bytes())
        .finalize();
    let hash = hex(hash.get(..8).unwrap_or_default());
    let Facts {
        account,
        region,
        resource,
        ..
    } = facts;
    let ending = match compression {
        Compression::Gzip => "gz",
        Compression::Zstd => "zst",
    };
    format!(
        "{prefix}AWSLogs/{account}/VpcLattice/AccessLogs/{region}/{day}/{resource}/\
         {account}_VpcLatticeAccessLogs_{region}_{resource}_{minute}_{hash}.json.{ending}"
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Spec: RFC 3986 §2.3: all but unreserved characters are escaped, as signatures want it.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// An object that is being made.
enum Compressor {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Compressor {
    fn new(compression: Compression) -> Result<Self, String> {
        match compression {
            // Fast rather than small: it is done for each record.
            Compression::Gzip => {
                let level = flate2::Compression::fast();
                Ok(Self::Gzip(GzEncoder::new(Vec::new(), level)))
            }
            Compression::Zstd => zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)
                .map(Self::Zstd)
                .map_err(|error| error.to_string()),
        }
    }

    /// Adds records, each with a line end.
    fn add(&mut self, batch: &Batch) -> Result<(), Failure> {
        let write = |out: &mut dyn std::io::Write| {
            batch.items().try_for_each(|item| {
                out.write_all(item.record)?;
                out.write_all(b"\n")
            })
        };
        let written = match self {
            Self::Gzip(encoder) => write(encoder),
            Self::Zstd(encoder) => write(encoder),
        };
        written.map_err(|error| Failure::Again(error.to_string()))
    }

    /// What is compressed so far.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Gzip(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
        }
    }

    /// Takes what is compressed so far.
    fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        })
    }

    fn finish(self) -> Result<Vec<u8>, Failure> {
        let done = match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        };
        done.map_err(|error| Failure::Again(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
