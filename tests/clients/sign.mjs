// Signs requests with signers written in JavaScript: one request per line of JSON on standard input; on standard output its target,
// which a signer may write anew, and its headers.
//
// {"signer": "smithy", "method", "host", "target", "headers", "key", "secret", "token", "region", "service", "expires"}

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const { SignatureV4 } = require("@smithy/signature-v4");
const { Sha256 } = require("@aws-crypto/sha256-js");
const aws4 = require("aws4");

/** The query as applications hand it to the signer: parsed by the platform, a list where a name comes twice. */
function parsed(query) {
  const values = {};
  for (const [name, value] of new URLSearchParams(query)) {
    values[name] = name in values ? [values[name], value].flat() : value;
  }
  return values;
}

/** The signer of the AWS SDK for JavaScript; without `uriEscapePath` it signs the path as it is. */
function smithy(uriEscapePath) {
  return async ({ method, host, target, headers, key, secret, token, region, service }) => {
    const [path, query] = target.split(/\?(.*)/s);
    const signer = new SignatureV4({
      credentials: { accessKeyId: key, secretAccessKey: secret, sessionToken: token },
      region,
      service,
      sha256: Sha256,
      uriEscapePath,
    });
    const [hostname, port] = host.split(":");
    const signed = await signer.sign({
      method,
      protocol: "http:",
      hostname,
      port,
      path,
      query: parsed(query),
      headers: { host, ...headers },
    });
    return { target, headers: signed.headers };
  };
}

/** The presigner of the AWS SDK for JavaScript, which moves `x-amz-` headers to the query. */
async function presigned({ method, host, target, headers, key, secret, token, region, service, expires }) {
  const [path, query] = target.split(/\?(.*)/s);
  const signer = new SignatureV4({
    credentials: { accessKeyId: key, secretAccessKey: secret, sessionToken: token },
    region,
    service,
    sha256: Sha256,
  });
  const [hostname, port] = host.split(":");
  const request = { method, protocol: "http:", hostname, port, path, query: parsed(query), headers: { host, ...headers } };
  const signed = await signer.presign(request, { expiresIn: expires });
  const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const pairs = Object.entries(signed.query).flatMap(([name, values]) =>
    [values].flat().map((value) => `${encode(name)}=${encode(value)}`),
  );
  return { target: `${path}?${pairs.join("&")}`, headers: signed.headers };
}

async function aws4Signer({ method, host, target, headers, key, secret, token, region, service }) {
  const request = { method, host, path: target, headers: { Host: host, ...headers }, region, service };
  const signed = aws4.sign(request, { accessKeyId: key, secretAccessKey: secret, sessionToken: token });
  return { target: signed.path, headers: signed.headers };
}

const signers = {
  smithy: smithy(true),
  "smithy-single": smithy(false),
  "smithy-presigned": presigned,
  aws4: aws4Signer,
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log(JSON.stringify(await signers[request.signer](request)));
}
