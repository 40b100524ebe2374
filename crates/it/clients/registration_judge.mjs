// openid-client (npm) as a program that registers itself, and is nobody before it is approved:
// node registration_judge.mjs ISSUER                        registers, and prints what it was given
// node registration_judge.mjs ISSUER CLIENT_ID SECRET URI TOKEN  works, once it was approved

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "here.js"));
const { Issuer } = require("openid-client");

const [where, client_id, client_secret, uri, token] = process.argv.slice(2);
const issuer = await Issuer.discover(where);
const scope = "system/Patient.rs";
if (!client_id) {
  const metadata = { client_name: "Lab", grant_types: ["client_credentials"], response_types: [], redirect_uris: [] };
  await assert.rejects(issuer.Client.register({ ...metadata, scope: "everything" }), {
    error: "invalid_client_metadata",
  });
  await assert.rejects(
    issuer.Client.register({ redirect_uris: ["http://app.example/cb"] }),
    { error: "invalid_redirect_uri" },
  );
  await assert.rejects(
    issuer.Client.register({ ...metadata, scope }, { initialAccessToken: "none" }),
    { error: "invalid_token" },
  );
  const client = await issuer.Client.register({ ...metadata, scope });
  await assert.rejects(client.grant({ grant_type: "client_credentials" }), { error: "invalid_client" });
  console.log(JSON.stringify(client.metadata));
} else {
  const client = new issuer.Client({ client_id, client_secret });
  const granted = await client.grant({ grant_type: "client_credentials" });
  assert.equal(granted.scope, scope);
  const own = await issuer.Client.fromUri(uri, token);
  assert.equal(own.client_id, client_id);
  assert.equal(own.metadata.approved, true);
}
