// The VPC Lattice API through AWS's SDK for JavaScript: a life from creation to deletion, and errors as the SDK's own classes.
// Prints the names of the commands that were answered. Environment: ENDPOINT, REGION, KEY_ID, SECRET, VPC.

import assert from "node:assert/strict";
import * as sdk from "@aws-sdk/client-vpc-lattice";

const { ENDPOINT, REGION, KEY_ID, SECRET, VPC } = process.env;
const client = new sdk.VPCLatticeClient({
  endpoint: ENDPOINT,
  region: REGION,
  credentials: { accessKeyId: KEY_ID, secretAccessKey: SECRET },
  maxAttempts: 1,
});
const answered = new Set();

async function send(name, input) {
  const answer = await client.send(new sdk[`${name}Command`](input));
  answered.add(name);
  return answer;
}

async function refused(type, name, input) {
  await assert.rejects(send(name, input), (error) => {
    assert.ok(error instanceof type, `${name}: ${error}`);
    return true;
  });
}

const notFound = { fixedResponse: { statusCode: 404 } };
const network = await send("CreateServiceNetwork", { name: "js-commerce" });
const service = await send("CreateService", { name: "js-orders", tags: { team: "web" } });
const of = { serviceIdentifier: service.arn };
assert.equal((await send("GetService", of)).status, "ACTIVE");
assert.ok((await send("GetService", of)).createdAt instanceof Date);
const config = { protocol: "HTTP", port: 80, vpcIdentifier: VPC };
const group = await send("CreateTargetGroup", { name: "js-orders-v1", type: "IP", config });
const ofGroup = { targetGroupIdentifier: group.id };
const targets = [{ id: "10.0.0.1" }];
assert.equal((await send("RegisterTargets", { ...ofGroup, targets })).successful[0].port, 80);
assert.equal((await send("ListTargets", ofGroup)).items[0].status, "UNUSED");
const listener = await send("CreateListener", { ...of, name: "web", protocol: "HTTP", defaultAction: notFound });
const within = { ...of, listenerIdentifier: listener.arn };
const match = { httpMatch: { pathMatch: { match: { prefix: "/" }, caseSensitive: false } } };
const rule = await send("CreateRule", { ...within, name: "first", priority: 1, match, action: notFound });
assert.deepEqual((await send("GetRule", { ...within, ruleIdentifier: rule.arn })).match, match);
const rules = [];
for await (const page of sdk.paginateListRules({ client, pageSize: 1 }, within)) rules.push(...page.items);
assert.deepEqual(rules.map((one) => one.isDefault), [true, false]);
const association = await send("CreateServiceNetworkServiceAssociation", { ...of, serviceNetworkIdentifier: network.arn });
const ofAssociation = { serviceNetworkServiceAssociationIdentifier: association.id };
assert.equal((await send("GetServiceNetworkServiceAssociation", ofAssociation)).status, "ACTIVE");
assert.equal((await send("ListTagsForResource", { resourceArn: service.arn })).tags.team, "web");

await refused(sdk.ConflictException, "CreateService", { name: "js-orders" });
await refused(sdk.ConflictException, "DeleteService", of);
await refused(sdk.ValidationException, "CreateService", { name: "Not-A-Name" });
await refused(sdk.ResourceNotFoundException, "GetService", { serviceIdentifier: "svc-0123456789abcdef0" });

await send("DeleteServiceNetworkServiceAssociation", ofAssociation);
await send("DeleteService", of);
await send("DeleteServiceNetwork", { serviceNetworkIdentifier: network.id });
await send("DeregisterTargets", { ...ofGroup, targets });
while ((await send("ListTargets", ofGroup)).items.length > 0) await new Promise((done) => setTimeout(done, 20));
await send("DeleteTargetGroup", ofGroup);
await refused(sdk.ResourceNotFoundException, "GetService", of);
console.log(JSON.stringify([...answered].sort()));
