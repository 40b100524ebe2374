// openid-client (npm) as a program that a person signs in to:
// node openid_client_judge.mjs ISSUER FHIR_BASE LOGIN PASSWORD PUBLIC_ID SECRET_ID SECRET

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "here.js"));
const { Issuer, generators } = require("openid-client");

const [where, base, login, password, publicId, secretId, secret] = process.argv.slice(2);
const redirect = "http://localhost:9/cb";

// A browser without scripts: it keeps cookies and sends forms as they are.
const cookies = new Map();
async function go(url, options = {}) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const headers = { ...options.headers, accept: "text/html", cookie };
  const answer = await fetch(url, { ...options, headers, redirect: "manual" });
  for (const set of answer.headers.getSetCookie()) {
    const [name, value] = set.split(";")[0].split("=");
    cookies.set(name, value);
  }
  const to = answer.headers.get("location");
  if (to?.startsWith(redirect)) return { callback: to };
  if (to) return go(to);
  return { status: answer.status, html: await answer.text() };
}

const plain = (text) => text.replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
function submit(page, fields) {
  assert.equal(page.status, 200, page.html);
  const form = page.html.match(/<form method="post" action="([^"]*)">([\s\S]*?)<\/form>/);
  const body = new URLSearchParams();
  for (const [, name, value] of form[2].matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)) {
    body.set(plain(name), plain(value));
  }
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  return go(plain(form[1]), { method: "POST", body });
}

async function approve(url) {
  let page = await go(url);
  if (page.html.includes('name="password"')) page = await submit(page, { login, password });
  return (await submit(page, { _decision: "approve" })).callback;
}

const issuer = await Issuer.discover(where);
assert.equal(issuer.metadata.issuer, where);
for (const [client_id, client_secret] of [[publicId, undefined], [secretId, secret]]) {
  const client = new issuer.Client({
    client_id,
    client_secret,
    redirect_uris: [redirect],
    response_types: ["code"],
    token_endpoint_auth_method: client_secret ? "client_secret_basic" : "none",
    introspection_endpoint_auth_method: "client_secret_basic",
  });
  const code_verifier = generators.codeVerifier();
  const [state, nonce] = [generators.state(), generators.nonce()];
  const url = client.authorizationUrl({
    scope: "openid fhirUser profile launch/patient patient/*.rs offline_access",
    aud: base,
    state,
    nonce,
    max_age: 3600,
    code_challenge: generators.codeChallenge(code_verifier),
    code_challenge_method: "S256",
  });
  const params = client.callbackParams(await approve(url));
  assert.equal(params.iss, where);
  // It checks issuer, state, nonce, max_age, signature, audience and times.
  const tokens = await client.callback(redirect, params, { code_verifier, state, nonce, max_age: 3600 });
  assert.equal(tokens.patient, "p1");
  assert.equal(tokens.claims().fhirUser, `${base}/Patient/p1`);
  await assert.rejects(client.callback(redirect, params, { code_verifier, state, nonce, max_age: 3600 }), /invalid_grant/);

  const again = client.callbackParams(await approve(url));
  const second = await client.callback(redirect, again, { code_verifier, state, nonce, max_age: 3600 });
  const third = await client.refresh(second.refresh_token);
  assert.equal(third.claims().sub, second.claims().sub);
  assert.notEqual(third.refresh_token, second.refresh_token);
  if (client_secret) {
    assert.equal((await client.introspect(third.access_token)).active, true);
    await client.revoke(third.refresh_token);
    assert.equal((await client.introspect(third.access_token)).active, false);
  } else {
    await client.revoke(third.refresh_token);
  }
  await assert.rejects(client.refresh(third.refresh_token), /invalid_grant/);
}

// What a program hears when it does not do what is required of it.
const client = new issuer.Client({ client_id: publicId, redirect_uris: [redirect], response_types: ["code"], token_endpoint_auth_method: "none" });
const bare = client.callbackParams((await go(client.authorizationUrl({ scope: "openid", state: "s" }))).callback);
await assert.rejects(client.callback(redirect, bare, { state: "s" }), /code_challenge_method/);
