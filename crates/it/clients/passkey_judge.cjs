// Chromium's virtual authenticator as a person's device: a passkey is added, signs in alone and after
// the password; not without its person, not at another tenant of the host, not when its counter went back, and
// not after it was removed:
// node passkey_judge.cjs TENANT_ROOT OTHER_TENANT_ROOT LOGIN PASSWORD CHROMIUM

const assert = require("node:assert/strict");
const { createRequire } = require("node:module");
const { join } = require("node:path");

const own = createRequire(join(process.cwd(), "here.js"));
const puppeteer = own("puppeteer-core");
const [root, other, login, password, chromium] = process.argv.slice(2);
const account = `${root}/auth/account`;

/** Clicks, and waits for the page that comes of it. */
async function click(tab, selector) {
  await tab.waitForSelector(selector);
  await Promise.all([tab.waitForNavigation(), tab.click(selector)]);
}

const send = (action) => `form[action$="/account/${action}"] button`;
const asking = "form[data-passkey] button";

async function typePassword(tab) {
  await tab.goto(`${root}/auth/login`);
  await tab.type("#login", login);
  await tab.type("#password", password);
  await click(tab, 'form[action$="/login"] button');
}

async function main() {
  const browser = await puppeteer.launch({
    executablePath: chromium,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  try {
    const tab = await browser.newPage();
    const device = await tab.createCDPSession();
    await device.send("WebAuthn.enable");
    const { authenticatorId } = await device.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport: "internal",
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });

    await typePassword(tab);
    assert.equal(tab.url(), account);
    await tab.type("#passkey-password", password);
    await click(tab, send("begin-passkey"));
    await tab.type("#name", "This laptop");
    await click(tab, asking);
    assert.equal((await tab.$$("#recovery li")).length, 10);
    await tab.goto(account);
    assert.match(await tab.$eval("main", (e) => e.textContent), /This laptop/);

    // Alone.
    await click(tab, send("sign-out"));
    await click(tab, "#passkey");
    await click(tab, asking);
    assert.equal(tab.url(), account);

    // After the password.
    await click(tab, send("sign-out"));
    await typePassword(tab);
    await tab.goto(account);
    assert.ok(tab.url().startsWith(`${root}/auth/login`), "the password is not enough any more");
    await typePassword(tab);
    await click(tab, asking);
    assert.equal(tab.url(), account);

    // Not without its person.
    await click(tab, send("sign-out"));
    await device.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
    await click(tab, "#passkey");
    await tab.click(asking);
    await tab.waitForFunction(() => document.querySelector("[role=status]").textContent !== "");
    await tab.goto(account);
    assert.ok(tab.url().startsWith(`${root}/auth/login`));
    await device.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });

    // Not at another tenant, whose pages are of the same host.
    await tab.goto(`${other}/auth/login`);
    await click(tab, "#passkey");
    const [stranger] = await Promise.all([tab.waitForNavigation(), tab.click(asking)]);
    assert.equal(stranger.status(), 401);

    // Not when its counter goes back: a copy.
    const { credentials } = await device.send("WebAuthn.getCredentials", { authenticatorId });
    const [credential] = credentials;
    assert.ok(credential.signCount > 1 && credential.isResidentCredential);
    const { credentialId } = credential;
    const replace = async (signCount) => {
      await device.send("WebAuthn.removeCredential", { authenticatorId, credentialId });
      await device.send("WebAuthn.addCredential", {
        authenticatorId,
        credential: { ...credential, signCount },
      });
    };
    await replace(1);
    await tab.goto(`${root}/auth/login`);
    await click(tab, "#passkey");
    const [copy] = await Promise.all([tab.waitForNavigation(), tab.click(asking)]);
    assert.equal(copy.status(), 401);
    await replace(credential.signCount + 10);

    // Not after it was removed.
    await tab.goto(`${root}/auth/login`);
    await click(tab, "#passkey");
    await click(tab, asking);
    await click(tab, 'form:has(input[name="what"][value="remove-passkey"]) button');
    await tab.type("#passkey-password", password);
    await click(tab, asking);
    assert.equal(tab.url(), account);
    await click(tab, send("sign-out"));
    await click(tab, "#passkey");
    const [answer] = await Promise.all([tab.waitForNavigation(), tab.click(asking)]);
    assert.equal(answer.status(), 401);
    await typePassword(tab);
    assert.equal(tab.url(), account);
  } finally {
    await browser.close();
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
