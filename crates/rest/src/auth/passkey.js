// Asks the browser for a passkey when a form that wants one is sent, and sends its answer.
"use strict";

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

async function answer(asked) {
  const options = asked.publicKey;
  options.challenge = bytes(options.challenge);
  for (const key of [...(options.allowCredentials ?? []), ...(options.excludeCredentials ?? [])]) {
    key.id = bytes(key.id);
  }
  if (options.user) options.user.id = bytes(options.user.id);
  const which = { publicKey: options };
  const key = options.user
    ? await navigator.credentials.create(which)
    : await navigator.credentials.get(which);
  const response = { clientDataJSON: text(key.response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (key.response[name]) response[name] = text(key.response[name]);
  }
  return { id: key.id, rawId: text(key.rawId), type: key.type, response, extensions: {} };
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const told = form.querySelector("[role=status]");
    try {
      const given = await answer(JSON.parse(form.dataset.passkey));
      form.elements.namedItem("answer").value = JSON.stringify(given);
      form.submit();
    } catch (error) {
      told.textContent = "The browser gave no passkey. " + error.message;
    }
  });
}
