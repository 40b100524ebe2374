// fhirclient (npm), served to a page of its own, launched in Chromium:
// node fhirclient_judge.cjs FHIR_BASE LOGIN PASSWORD CLIENT_ID PORT LAUNCH CHROMIUM

const assert = require("node:assert/strict");
const { createRequire } = require("node:module");
const { createServer } = require("node:http");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const own = createRequire(join(process.cwd(), "here.js"));
const puppeteer = own("puppeteer-core");
const library = readFileSync(join(process.cwd(), "node_modules/fhirclient/build/fhir-client.min.js"));
const [base, login, password, clientId, port, launch, chromium] = process.argv.slice(2);

const page = (script) => `<!doctype html><title>app</title><script src="/lib.js"></script><script>${script}</script>`;
const options = (scope) => JSON.stringify({ clientId, scope, redirectUri: `http://localhost:${port}/`, pkceMode: "required" });
const pages = {
  "/standalone": page(`FHIR.oauth2.authorize({ ...${options("openid fhirUser launch/patient patient/*.rs offline_access")}, iss: ${JSON.stringify(base)} })`),
  "/launch": page(`FHIR.oauth2.authorize(${options("openid fhirUser launch patient/*.rs")})`),
  "/": page(`FHIR.oauth2.ready().then((c) => { document.body.innerHTML = "<p id=done></p>"; done.textContent = JSON.stringify({ patient: c.patient.id, user: c.getFhirUser(), scope: c.getState("tokenResponse.scope") }); }).catch((e) => { document.body.innerHTML = "<p id=done></p>"; done.textContent = String(e); })`),
};

async function run(browser, path) {
  const tab = await browser.newPage();
  await tab.goto(`http://localhost:${port}${path}`);
  await tab.waitForSelector("main form");
  if (await tab.$("#login")) {
    await tab.type("#login", login);
    await tab.type("#password", password);
    await Promise.all([tab.waitForNavigation(), tab.click("button[type=submit]")]);
  }
  await tab.waitForSelector("button[value=approve]");
  await Promise.all([tab.waitForNavigation(), tab.click("button[value=approve]")]);
  const done = await tab.waitForSelector("#done");
  return JSON.parse(await done.evaluate((e) => e.textContent));
}

async function main() {
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://x").pathname;
    response.setHeader("content-type", path === "/lib.js" ? "text/javascript" : "text/html");
    response.end(path === "/lib.js" ? library : pages[path] ?? "");
  });
  await new Promise((resolve) => server.listen(Number(port), "127.0.0.1", resolve));
  const browser = await puppeteer.launch({
    executablePath: chromium,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  try {
    const alone = await run(browser, "/standalone");
    assert.equal(alone.patient, "p1");
    assert.equal(alone.user, "Patient/p1");
    const query = new URLSearchParams({ iss: base, launch });
    const within = await run(browser, `/launch?${query}`);
    assert.equal(within.patient, "p1");
  } finally {
    await browser.close();
    server.close();
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
