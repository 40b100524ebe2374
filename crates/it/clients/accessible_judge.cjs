// The main path through the pages of a tenant with scripts switched off and by the keyboard alone, as a person
// without a pointer goes it, and axe-core over each page: an invitation, signing in and out, a second factor, a
// program that is let in with a patient; and what is told when something is wrong.
// node accessible_judge.cjs CHROMIUM '{"root", "invitation", "login", "password", "program", "port", "pages"}'

const assert = require("node:assert/strict");
const { createHash, createHmac } = require("node:crypto");
const { createServer } = require("node:http");
const { createRequire } = require("node:module");
const { join } = require("node:path");
const { readFileSync } = require("node:fs");

const own = createRequire(join(process.cwd(), "here.js"));
const puppeteer = own("puppeteer-core");
const AXE = readFileSync(own.resolve("axe-core/axe.min.js"), "utf8");
const [chromium, told] = process.argv.slice(2);
const { root, invitation, login, password, program, port, pages } = JSON.parse(told);
const auth = `${root}/auth`;
const VERIFIER = "0123456789-0123456789-0123456789-0123456789";

/** The code of an authenticator app. */
function totp(secret) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let bits = "";
  for (const letter of secret) bits += letters.indexOf(letter).toString(2).padStart(5, "0");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac("sha1", key).update(counter).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** What somebody can go to by the keyboard, in the order of the page. */
const STOPS = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";

class Walk {
  constructor(tab, auditor) {
    this.tab = tab;
    this.auditor = auditor;
    this.seen = [];
  }

  /** Looks at the page that is there: by axe in light and dark, its order, its names, its width. */
  async look(name, { failed = false } = {}) {
    const { tab } = this;
    this.seen.push(name);
    const of = await tab.evaluate(() => ({
      lang: document.documentElement.lang,
      title: document.title,
      heading: [...document.querySelectorAll("h1")].map((h) => h.textContent),
      scripts: document.scripts.length,
    }));
    assert.equal(of.lang, "en", name);
    assert.equal(of.heading.length, 1, `${name} has one first heading`);
    assert.ok(of.title.includes(of.heading[0]), `${name}: ${of.title}`);
    assert.equal(of.title.startsWith("Error: "), failed, `${name}: ${of.title}`);
    await this.order(name);
    await this.audit(name);
  }

  /** Tab goes to everything once, in the order of the page, and each shows that it is there. */
  async order(name) {
    const { tab } = this;
    const all = await tab.evaluate((stops) => {
      const groups = new Set();
      const there = [...document.querySelectorAll(stops)].filter((e) => {
        if (e.type !== "radio") return true;
        const first = !groups.has(e.name);
        groups.add(e.name);
        return first;
      });
      there.forEach((e, at) => e.setAttribute("data-stop", String(at)));
      document.activeElement.blur();
      return there.length;
    }, STOPS);
    const met = [];
    for (let at = 0; at < all + 2 && met.length < all; at++) {
      await tab.keyboard.press("Tab");
      const now = await tab.evaluate(() => {
        const e = document.activeElement;
        if (e === document.body) return null;
        const style = getComputedStyle(e);
        const words = (ids) => (ids ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
        const named = e.labels?.length ? [...e.labels].map((l) => l.textContent).join(" ") : e.textContent;
        return {
          stop: e.dataset.stop,
          html: e.outerHTML.slice(0, 160),
          outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
          name: (e.getAttribute("aria-label") ?? words(e.getAttribute("aria-labelledby")) + named).trim(),
        };
      });
      if (now === null) continue;
      assert.ok(now.outline, `${name}: it does not show where one is: ${now.html}`);
      assert.ok(now.name, `${name}: it has no name: ${now.html}`);
      met.push(Number(now.stop));
    }
    const begin = met.indexOf(0);
    const sorted = met.slice(begin).concat(met.slice(0, begin));
    assert.deepEqual(sorted, Array.from({ length: all }, (_, at) => at), `the order of ${name}`);
  }

  async audit(name) {
    const { tab, auditor } = this;
    const html = await tab.content();
    const style = await (await fetch(`${auth}/style.css`)).text();
    const bare = html.replace(/<link[^>]*>/, `<style>${style}</style>`).replace(/<script[^>]*><\/script>/g, "");
    for (const scheme of ["light", "dark"]) {
      await auditor.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await auditor.setContent(bare);
      await auditor.evaluate(AXE);
      const { violations } = await auditor.evaluate(() => window.axe.run(document));
      const words = violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).join(" | ")}`);
      assert.deepEqual(words, [], `axe about ${name}, ${scheme}`);
    }
    await auditor.setViewport({ width: 320, height: 640 });
    const wide = await auditor.evaluate(() => document.documentElement.scrollWidth);
    await auditor.setViewport({ width: 1280, height: 800 });
    assert.ok(wide <= 320, `${name} is ${wide} wide where there are 320`);
  }

  /** Goes to what is meant by Tab alone. */
  async to(selector) {
    for (let at = 0; at < 100; at++) {
      const is = await this.tab.evaluate((s) => document.activeElement.matches(s), selector);
      if (is) return;
      await this.tab.keyboard.press("Tab");
    }
    assert.fail(`no Tab leads to ${selector} of ${this.tab.url()}`);
  }

  /** Fills a field anew. */
  async type(selector, text) {
    await this.to(selector);
    await this.tab.keyboard.down("Control");
    await this.tab.keyboard.press("a");
    await this.tab.keyboard.up("Control");
    await this.tab.keyboard.press("Backspace");
    await this.tab.keyboard.type(text);
  }

  /** Presses a key on what is meant, and waits for the page that comes of it. */
  async press(selector, key = "Enter") {
    await this.to(selector);
    const [answer] = await Promise.all([this.tab.waitForNavigation(), this.tab.keyboard.press(key)]);
    return answer;
  }

  /** What was wrong is told, and the fields that it is about say so and where. */
  async wrong(words, fields) {
    const found = await this.tab.evaluate((fields) => {
      const alert = document.querySelector("[role=alert]");
      return {
        words: alert?.textContent,
        tied: fields.map((s) => {
          const field = document.querySelector(s);
          return field.getAttribute("aria-invalid") === "true" && field.getAttribute("aria-describedby") === alert?.id;
        }),
      };
    }, fields);
    assert.match(found.words ?? "", words);
    assert.deepEqual(found.tied, fields.map(() => true), `${fields} are tied to: ${found.words}`);
  }

  /** Which of a person's data a field takes. */
  async takes(fields) {
    for (const [selector, purpose] of Object.entries(fields)) {
      const has = await this.tab.$eval(selector, (e) => e.autocomplete);
      assert.equal(has, purpose, selector);
    }
  }
}

const send = (path) => `form[action$="/auth/${path}"] button`;

async function main() {
  const landed = [];
  const callback = createServer((request, response) => {
    landed.push(request.url);
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>There</title>");
  }).listen(Number(port));
  const browser = await puppeteer.launch({
    executablePath: chromium,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  try {
    const tab = await browser.newPage();
    await tab.setJavaScriptEnabled(false);
    const walk = new Walk(tab, await browser.newPage());

    // Invited: a password of their own.
    await tab.goto(invitation);
    await walk.look("the invitation");
    await walk.takes({ "#password": "new-password", "#again": "new-password" });
    await walk.type("#password", password);
    await walk.type("#again", "something else");
    await walk.press("#again");
    await walk.look("the invitation, two passwords", { failed: true });
    await walk.wrong(/not the same/, ["#password", "#again"]);
    await walk.type("#password", password);
    await walk.type("#again", password);
    await walk.press(send("invitation"));
    assert.equal(tab.url(), `${auth}/account`);
    await walk.look("the account");

    // Out and in.
    await walk.press(send("account/sign-out"));
    await walk.look("signing in");
    await walk.takes({ "#login": "username", "#password": "current-password" });
    assert.ok(await tab.$eval("#login", (e) => e === document.activeElement || e.autofocus));
    await walk.type("#login", login);
    await walk.type("#password", "wrong");
    await walk.press("#password");
    await walk.look("signing in, wrong", { failed: true });
    await walk.wrong(/do not go together/, ["#login", "#password"]);
    assert.equal(await tab.$eval("#login", (e) => e.value), login, "the name need not be typed again");
    await walk.type("#password", password);
    await walk.press(send("login"), "Space");
    assert.equal(tab.url(), `${auth}/account`);

    // A second factor.
    await walk.type("#totp-password", password);
    await walk.press(send("account/begin-totp"));
    await walk.look("setting up codes");
    await walk.takes({ "#code": "one-time-code" });
    await walk.type("#code", "000000");
    await walk.press("#code");
    await walk.look("setting up codes, wrong", { failed: true });
    await walk.wrong(/not the code/, ["#code"]);
    const secret = await tab.$eval("#secret", (e) => e.textContent.replaceAll(" ", ""));
    await walk.type("#code", totp(secret));
    await walk.press(send("account/confirm-totp"));
    await walk.look("recovery codes");
    const recovery = await tab.$eval("#recovery li", (e) => e.textContent);
    await walk.press('a[href$="/auth/account"]');
    await walk.look("the account with codes");
    await walk.press(send("account/sign-out"));
    await walk.type("#login", login);
    await walk.type("#password", password);
    await walk.press("#password");
    await walk.look("the second step");
    await walk.takes({ "#code": "one-time-code" });
    await walk.type("#code", "000000");
    await walk.press("#code");
    await walk.look("the second step, wrong", { failed: true });
    await walk.wrong(/not good/, ["#code"]);
    await walk.type("#code", recovery);
    await walk.press("#code");
    assert.equal(tab.url(), `${auth}/account`);
    await walk.press('form:has(input[name="what"][value="end-totp"]) button');
    await walk.look("showing who one is");

    // A program, with a patient in context.
    const asked = new URLSearchParams({
      response_type: "code",
      client_id: program,
      redirect_uri: `http://localhost:${port}/`,
      scope: "openid launch/patient user/*.rs",
      state: "s",
      aud: `${root}/fhir`,
      code_challenge: createHash("sha256").update(VERIFIER).digest("base64url"),
      code_challenge_method: "S256",
    });
    await tab.goto(`${auth}/authorize?${asked}`);
    await walk.look("choosing a patient");
    await walk.type("#find", "Nobody-of-this-name");
    await walk.press("#find");
    await walk.look("choosing a patient, none found", { failed: true });
    await walk.wrong(/no patient of this name/, ["#find"]);
    await walk.type("#find", "doe");
    await walk.press("#find");
    await walk.look("choosing a patient, found");
    await walk.to("input[type=radio]");
    await tab.keyboard.press("Space");
    await walk.press("fieldset + button");
    await walk.look("letting a program in");
    await walk.press('button[value="approve"]');
    assert.ok(landed.some((url) => /^\/\?.*code=/.test(url)), `it came back: ${landed}`);
    await tab.goto(`${auth}/account`);
    await walk.look("the account with a program");

    // What goes wrong on the way is a page as well.
    asked.set("redirect_uri", "http://elsewhere.example/");
    await tab.goto(`${auth}/authorize?${asked}`);
    await walk.look("a program that is refused", { failed: true });

    for (const path of pages) {
      const answer = await tab.goto(`${auth}/${path}`);
      assert.equal(answer.status(), 200, path);
      await walk.look(path);
    }
    console.log(JSON.stringify(walk.seen));
  } finally {
    await browser.close();
    callback.close();
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
