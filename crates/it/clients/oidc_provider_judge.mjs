// oidc-provider (npm) as a clinic's identity provider: somebody whom nobody here knows yet signs in
// with it in Chromium, with the roles that its claims come to, and is signed out by its back channel:
// node oidc_provider_judge.mjs TENANT_ROOT PORT SECRET CHROMIUM

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const own = createRequire(join(process.cwd(), "here.js"));
const { default: Provider } = await import(pathToFileURL(own.resolve("oidc-provider")).href);
const puppeteer = own("puppeteer-core");
const [root, port, secret, chromium] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "clinic",
      client_secret: secret,
      redirect_uris: [`${root}/auth/providers/acme/callback`],
      response_types: ["code"],
      grant_types: ["authorization_code"],
      scope: "openid profile groups",
      backchannel_logout_uri: `${root}/auth/providers/acme/logout`,
      backchannel_logout_session_required: true,
    },
  ],
  claims: {
    openid: ["sub"],
    profile: ["name", "preferred_username"],
    groups: ["groups"],
  },
  scopes: ["openid", "profile", "groups"],
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: "Grace Hopper", preferred_username: `${sub}@acme`, groups: ["nurses"] }),
  }),
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  pkce: { required: () => true, methods: ["S256"] },
  cookies: { keys: ["a key of this test"] },
});
const wrong = [];
for (const event of ["server_error", "backchannel.error", "grant.error", "authorization.error"]) {
  provider.on(event, (...told) => wrong.push(`${event}: ${told.find((t) => t instanceof Error)}`));
}
const loggedOut = new Promise((done) => provider.on("backchannel.success", done));

/** Clicks, and waits for the page that comes of it. */
async function click(tab, selector) {
  await tab.waitForSelector(selector);
  await Promise.all([tab.waitForNavigation(), tab.click(selector)]);
}

const server = provider.listen(Number(port), "127.0.0.1");
const browser = await puppeteer.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  const tab = await browser.newPage();
  await tab.goto(`${root}/auth/account`);
  assert.ok(tab.url().startsWith(`${root}/auth/login`), tab.url());
  await click(tab, "a.button");
  assert.ok(tab.url().startsWith(issuer), tab.url());
  await tab.waitForSelector("input[name=login]");
  await tab.type("input[name=login]", "grace");
  await tab.type("input[name=password]", "anything");
  await click(tab, "button[type=submit]");
  // The provider asks whether the clinic may know.
  await click(tab, "button[type=submit]");
  assert.equal(tab.url(), `${root}/auth/account`);
  const text = await tab.$eval("main", (e) => e.textContent);
  assert.match(text, /Grace Hopper/);
  assert.match(text, /grace@acme/);

  // Signed out there, they are signed out here, with the next request.
  const other = await browser.newPage();
  await other.goto(`${issuer}/session/end`);
  await click(other, "button[value=yes]");
  await loggedOut;
  await tab.goto(`${root}/auth/account`);
  assert.ok(tab.url().startsWith(`${root}/auth/login`), tab.url());
  assert.deepEqual(wrong, []);
} catch (error) {
  console.error(wrong.join("\n"));
  throw error;
} finally {
  await browser.close();
  server.close();
}
process.exit(0);
