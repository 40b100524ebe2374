// fhir-kit-client (npm) against a FHIR base: node fhir_kit_client_judge.mjs BASE TOKEN

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

// Modules lie in the folder of the caller, not in that of this file.
const require = createRequire(join(process.cwd(), "here.js"));
const Client = require("fhir-kit-client");

const [baseUrl, bearerToken] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken });
const patient = (family) => ({ resourceType: "Patient", name: [{ family, given: ["Edith"] }] });

const capability = await client.capabilityStatement();
assert.equal(capability.fhirVersion, "4.0.1");

// create, read, vread
const created = await client.create({ resourceType: "Patient", body: patient("Created") });
const read = await client.read({ resourceType: "Patient", id: created.id });
assert.equal(read.name[0].family, "Created");
const version = await client.vread({ resourceType: "Patient", id: created.id, version: "1" });
assert.deepEqual(version, read);

// update
read.name[0].family = "Updated";
const updated = await client.update({ resourceType: "Patient", id: read.id, body: read });
assert.equal(updated.meta.versionId, "2");
const history = await client.history({ resourceType: "Patient", id: read.id });
assert.equal(history.entry.length, 2);

// search with paging, there and back
for (let i = 0; i < 7; i++) await client.create({ resourceType: "Patient", body: patient("Paged") });
const found = new Set();
let page = await client.resourceSearch({
  resourceType: "Patient",
  searchParams: { family: "paged", _count: 3 },
});
while (page) {
  for (const entry of page.entry) found.add(entry.resource.id);
  page = page.link.some((l) => l.relation === "next") ? await client.nextPage({ bundle: page }) : null;
}
assert.equal(found.size, 7);

// search by POST
const posted = await client.resourceSearch({
  resourceType: "Patient",
  searchParams: { family: "paged", _summary: "count" },
  options: { postSearch: true },
});
assert.equal(posted.total, 7);

// transaction
const result = await client.transaction({
  body: {
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      {
        fullUrl: "urn:uuid:7e6b1b0e-1b1f-4e2c-9a52-5a9b5ff8f7c1",
        resource: patient("Transacted"),
        request: { method: "POST", url: "Patient" },
      },
      {
        fullUrl: "urn:uuid:7e6b1b0e-1b1f-4e2c-9a52-5a9b5ff8f7c2",
        resource: {
          resourceType: "Observation",
          status: "final",
          code: { text: "weight" },
          subject: { reference: "urn:uuid:7e6b1b0e-1b1f-4e2c-9a52-5a9b5ff8f7c1" },
        },
        request: { method: "POST", url: "Observation" },
      },
    ],
  },
});
assert.deepEqual(result.entry.map((e) => e.response.status.slice(0, 3)), ["201", "201"]);

// what the server refuses, the client can read
await assert.rejects(client.read({ resourceType: "Patient", id: "not-there" }), (error) => {
  assert.equal(error.response.status, 404);
  assert.equal(error.response.data.resourceType, "OperationOutcome");
  return true;
});
