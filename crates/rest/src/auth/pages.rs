//! The pages themselves: plain HTML with labels and headings, in English, readable without style and
//! usable without a pointer.

use base::{Code, Micros};
use engine::{
    AccountView, AuthorizeRequest, Failure, Gate, PasskeyQuestion, ProviderOffer, Question, Visitor,
};
use maud::{DOCTYPE, Markup, html};

pub(super) const STYLE: &str = "\
:root{color-scheme:light dark}
body{font:1.0625rem/1.5 system-ui,sans-serif;margin:0;background:#fff;color:#16202a}
main{max-width:34rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.15rem;margin-top:2rem}
label{display:block;margin:1rem 0 .25rem;font-weight:600}
input[type=text],input[type=password],textarea,select{width:100%;box-sizing:border-box;font:inherit;padding:.5rem;
border:1px solid #5b6773;border-radius:4px;background:#fff;color:#16202a}
button{font:inherit;margin:1rem .5rem 0 0;padding:.5rem 1.25rem;border-radius:4px;border:1px solid #0b4f8a;
background:#0b4f8a;color:#fff;cursor:pointer}
button.second{background:#fff;color:#0b4f8a}
a{color:#0b4f8a}
a.button{display:inline-block;padding:.5rem 1.25rem;border-radius:4px;border:1px solid #0b4f8a;text-decoration:none}
:focus-visible{outline:3px solid #b35900;outline-offset:2px}
.wrong{border-left:4px solid #b00020;padding:.5rem 1rem;background:#fdecee;color:#5a0010}
.choice label{font-weight:400;display:inline}
dt{font-weight:600}dd{margin:0 0 .5rem}
nav a{margin-right:1rem}a[aria-current]{font-weight:600;text-decoration:none}
fieldset{margin:1.5rem 0;border:1px solid #5b6773;border-radius:4px}legend{font-weight:600;padding:0 .25rem}
.note{margin:.25rem 0;font-size:.95em}
code{font-size:1.05em;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{background:#11181f;color:#e8edf2}
input[type=text],input[type=password],textarea,select{background:#1b242d;color:#e8edf2;border-color:#8b98a5}
button{background:#7cc0ff;border-color:#7cc0ff;color:#06233d}button.second{background:#11181f;color:#7cc0ff}
a{color:#7cc0ff}.wrong{background:#3a1218;color:#ffd9de}}
";

pub(super) fn page(gate: &Gate, title: &str, body: &Markup) -> Markup {
    page_after(gate, title, false, body)
}

/// The same where what was sent did not do: its title, which is read out first, says so.
fn page_after(gate: &Gate, title: &str, failed: bool, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title {
                    @if failed { "Error: " }
                    (title) " – " (gate.name().as_str())
                }
                link rel="stylesheet" href=(gate.links().auth("/style.css"));
            }
            body {
                main {
                    h1 { (title) }
                    (body)
                }
            }
        }
    }
}

/// What was wrong; fields that it is about are [`tied`] to it.
fn wrong(text: &str) -> Markup {
    html! { p #wrong.wrong role="alert" { (text) } }
}

/// Of a field: that it is wrong, and where it stands what is.
const fn tied(failed: bool) -> (Option<&'static str>, Option<&'static str>) {
    match failed {
        true => (Some("true"), Some("wrong")),
        false => (None, None),
    }
}

fn told(failure: &Failure) -> String {
    match failure.code() {
        Code::CredentialsInvalid => "This name and password do not go together.".to_owned(),
        Code::RateLimited => format!(
            "Too many attempts. Try again in {} seconds.",
            failure.retry_seconds().unwrap_or(60)
        ),
        _ => failure.text().to_owned(),
    }
}

pub(super) fn failure(gate: &Gate, failure: &Failure) -> Markup {
    let body = html! {
        (wrong(&told(failure)))
        p { "Code: " code { (failure.code().as_str()) } }
        p { a href=(gate.links().auth("/account")) { "To your account" } }
    };
    page_after(gate, "This did not work", true, &body)
}

/// Links to the identity providers through which people may come in.
pub(super) fn through(gate: &Gate, providers: &[ProviderOffer], query: &str) -> Markup {
    let link = |p: &ProviderOffer| gate.links().auth(&format!("/providers/{}?{query}", p.id));
    html! {
        @if !providers.is_empty() {
            h2 { "Or" }
            @for provider in providers {
                p { a.button href=(link(provider)) { "Sign in with " (provider.name) } }
            }
        }
    }
}

/// Forms by which an invitation is accepted with an account elsewhere.
pub(super) fn invited_through(
    gate: &Gate,
    providers: &[ProviderOffer],
    token: &str,
    invitation: &str,
) -> Markup {
    let action = |p: &ProviderOffer| gate.links().auth(&format!("/providers/{}", p.id));
    html! {
        @if !providers.is_empty() {
            h2 { "Or" }
            @for provider in providers {
                form method="post" action=(action(provider)) {
                    input type="hidden" name="_form" value=(token);
                    input type="hidden" name="token" value=(invitation);
                    button.second type="submit" { "Sign in with " (provider.name) }
                }
            }
        }
    }
}

pub(super) fn sign_in(
    gate: &Gate,
    token: &str,
    (next, login): (&str, &str),
    failure: Option<&Failure>,
    through: &Markup,
) -> Markup {
    let (invalid, described) = tied(failure.is_some());
    let named = !login.is_empty();
    let body = html! {
        @if let Some(failure) = failure { (wrong(&told(failure))) }
        form method="post" action=(gate.links().auth("/login")) {
            input type="hidden" name="_form" value=(token);
            input type="hidden" name="next" value=(next);
            label for="login" { "Name" }
            input #login type="text" name="login" autocomplete="username" autocapitalize="none"
                spellcheck="false" value=[named.then_some(login)] required autofocus[!named]
                aria-invalid=[invalid] aria-describedby=[described];
            label for="password" { "Password" }
            input #password type="password" name="password" autocomplete="current-password" required
                autofocus[named] aria-invalid=[invalid] aria-describedby=[described];
            button type="submit" { "Sign in" }
        }
        (through)
    };
    page_after(gate, "Sign in", failure.is_some(), &body)
}

/// A link to signing in with a passkey.
pub(super) fn passkey_link(gate: &Gate, query: &str) -> Markup {
    let href = gate.links().auth(&format!("/passkey?{query}"));
    html! { p { a #passkey.button href=(href) { "Sign in with a passkey" } } }
}

/// A form that the browser answers with a passkey.
fn passkey_form(
    gate: &Gate,
    action: &str,
    question: &PasskeyQuestion,
    fields: &Markup,
    words: &str,
) -> Markup {
    html! {
        form method="post" action=(gate.links().auth(action)) data-passkey=(question.options) {
            (fields)
            input type="hidden" name="state" value=(question.state);
            input type="hidden" name="answer" value="";
            p role="status" {}
            button type="submit" { (words) }
        }
        noscript { p { "The browser asks for passkeys by a script, which is switched off." } }
        script src=(gate.links().auth("/passkey.js")) defer {}
    }
}

pub(super) fn passkey(gate: &Gate, token: &str, next: &str, question: &PasskeyQuestion) -> Markup {
    let fields = html! {
        input type="hidden" name="_form" value=(token);
        input type="hidden" name="next" value=(next);
    };
    let body = html! {
        (passkey_form(gate, "/passkey", question, &fields, "Use a passkey"))
        p { a href=(gate.links().auth("/login")) { "Sign in in another way" } }
    };
    page(gate, "Sign in with a passkey", &body)
}

pub(super) fn begin_passkey(gate: &Gate, token: &str, question: &PasskeyQuestion) -> Markup {
    let fields = html! {
        input type="hidden" name="_form" value=(token);
        label for="name" { "What you call this device" }
        input #name type="text" name="name" maxlength="100" autocomplete="off" required autofocus;
    };
    let action = "/account/add-passkey";
    let body = html! {
        p { "The device asks who you are by itself: by a finger, a face or its code. From then on it is asked \
             for at every sign-in." }
        (passkey_form(gate, action, question, &fields, "Add the passkey"))
        p { a href=(gate.links().auth("/account")) { "Back to your account" } }
    };
    page(gate, "Add a passkey", &body)
}

pub(super) fn second_factor(
    gate: &Gate,
    token: &str,
    (ticket, next): (&str, &str),
    again: bool,
    question: Option<&PasskeyQuestion>,
) -> Markup {
    let fields = html! {
        input type="hidden" name="_form" value=(token);
        input type="hidden" name="ticket" value=(ticket);
        input type="hidden" name="next" value=(next);
    };
    let (invalid, described) = tied(again);
    let body = html! {
        @if again { (wrong("This is not good, or was used. For a code, wait for the next one.")) }
        @if let Some(question) = question {
            (passkey_form(gate, "/second-factor", question, &fields, "Use a passkey"))
        }
        form method="post" action=(gate.links().auth("/second-factor")) {
            (fields)
            label for="code" { "Code of your authenticator app, or a recovery code" }
            input #code type="text" name="code" autocomplete="one-time-code" autocapitalize="none"
                spellcheck="false" required autofocus aria-invalid=[invalid]
                aria-describedby=[described];
            button type="submit" { "Go on" }
        }
    };
    page_after(gate, "Second step", again, &body)
}

fn new_password(failed: bool) -> Markup {
    let (invalid, described) = tied(failed);
    html! {
        label for="password" { "New password" }
        input #password type="password" name="password" autocomplete="new-password" required
            autofocus aria-invalid=[invalid] aria-describedby=[described];
        label for="again" { "The same again" }
        input #again type="password" name="again" autocomplete="new-password" required
            aria-invalid=[invalid] aria-describedby=[described];
    }
}

pub(super) fn invitation(
    gate: &Gate,
    token: &str,
    invitation: &str,
    login: &str,
    failure: Option<&Failure>,
    through: &Markup,
) -> Markup {
    let body = html! {
        @if let Some(failure) = failure { (wrong(failure.text())) }
        p { "You will sign in as " strong { (login) } "." }
        form method="post" action=(gate.links().auth("/invitation")) {
            input type="hidden" name="_form" value=(token);
            input type="hidden" name="token" value=(invitation);
            input type="hidden" autocomplete="username" value=(login);
            (new_password(failure.is_some()))
            button type="submit" { "Set the password" }
        }
        (through)
    };
    page_after(gate, "Choose a password", failure.is_some(), &body)
}

pub(super) fn brought_back(token: &str, request: &AuthorizeRequest) -> Markup {
    html! {
        input type="hidden" name="_form" value=(token);
        @for (name, value) in request.pairs() {
            input type="hidden" name=(name) value=(value);
        }
    }
}

pub(super) fn choose_patient(
    gate: &Gate,
    token: &str,
    request: &AuthorizeRequest,
    name: Option<&str>,
    found: Option<Result<Vec<(String, String)>, Failure>>,
) -> Markup {
    let action = gate.links().auth("/authorize");
    let failed = match &found {
        Some(Ok(found)) => found.is_empty(),
        Some(Err(_)) => true,
        None => false,
    };
    let (invalid, described) = tied(failed);
    let body = html! {
        form method="post" action=(action) {
            (brought_back(token, request))
            label for="find" { "Name of the patient" }
            input #find type="text" name="_find" value=(name.unwrap_or_default())
                autocomplete="off" required autofocus aria-invalid=[invalid]
                aria-describedby=[described];
            button type="submit" { "Search" }
        }
        @match found {
            Some(Ok(found)) if !found.is_empty() => {
                form method="post" action=(action) {
                    (brought_back(token, request))
                    fieldset.choice {
                        legend { "Patients found" }
                        @for (place, (id, words)) in found.iter().enumerate() {
                            div {
                                input type="radio" name="_patient" value=(id) required
                                    id={ "patient-" (place) };
                                " "
                                label for={ "patient-" (place) } { (words) " (" (id) ")" }
                            }
                        }
                    }
                    button type="submit" { "Choose" }
                }
            }
            Some(Ok(_)) => (wrong("You see no patient of this name.")),
            Some(Err(failure)) => (wrong(failure.text())),
            None => {}
        }
    };
    page_after(gate, "Choose a patient", failed, &body)
}

pub(super) fn question(
    gate: &Gate,
    token: &str,
    request: &AuthorizeRequest,
    visitor: &Visitor,
    question: &Question,
) -> Markup {
    let body = html! {
        p {
            strong { (question.client) } " asks to act for you, " (visitor.name())
            ", at " strong { (gate.name().as_str()) } ". It never gets more than you have yourself."
        }
        h2 { "It asks to" }
        ul { @for scope in &question.scopes { li { (scope) } } }
        @if let Some(patient) = &question.patient {
            p { "Patient: " code { (patient) } }
        }
        p { "Afterwards you are sent to " code { (question.redirect) } "." }
        (said_by_program(question))
        form method="post" action=(gate.links().auth("/authorize")) {
            (brought_back(token, request))
            @if let Some(patient) = &question.patient {
                input type="hidden" name="_patient" value=(patient);
            }
            button type="submit" name="_decision" value="approve" { "Allow" }
            button.second type="submit" name="_decision" value="refuse" { "Do not allow" }
        }
    };
    page(gate, &format!("Allow {}?", question.client), &body)
}

/// The form by which somebody says, with a remark, one of two things.
pub(super) fn say(
    (action, token): (&str, &str),
    how: &str,
    remark: &str,
    [(first, words), (second, other_words)]: [(&str, &str); 2],
) -> Markup {
    html! {
        h2 { "What do you say about it?" }
        p { (how) }
        form method="post" action=(action) {
            input type="hidden" name="_form" value=(token);
            label for="remark" { (remark) }
            textarea #remark name="remark" rows="3" maxlength="500" {}
            button type="submit" name="verdict" value=(first) { (words) }
            button.second type="submit" name="verdict" value=(second) { (other_words) }
        }
    }
}

/// What a program says about itself, to whoever decides about it.
fn said_by_program(question: &Question) -> Markup {
    let about = &question.about;
    let pages = [
        ("About the program", &about.client_uri),
        ("How it uses what it learns", &about.policy_uri),
        ("Its terms of use", &about.tos_uri),
    ];
    let pages: Vec<_> = pages
        .iter()
        .filter_map(|(words, url)| Some((words, url.as_ref()?)))
        .collect();
    html! {
        @if !pages.is_empty() || !about.contacts.is_empty() {
            h2 { "What it says about itself" }
            dl {
                @for (words, url) in pages {
                    dt { (words) }
                    dd { a href=(url) rel="noopener noreferrer" { (url) } }
                }
                @if !about.contacts.is_empty() {
                    dt { "Whom to ask" } dd { (about.contacts.join(", ")) }
                }
            }
        }
    }
}

fn time(at: Micros) -> Markup {
    let text = at.instant().to_string();
    html! { time datetime=(text) { (text.get(..16).unwrap_or(&text).replace('T', " ")) " UTC" } }
}

/// A form with one button. Where there are several of the same words, `about` is the id of what one is about.
fn button(
    gate: &Gate,
    token: &str,
    (action, id): (&str, &str),
    words: &str,
    about: Option<&str>,
) -> Markup {
    html! {
        form method="post" action=(gate.links().auth(&format!("/account/{action}"))) {
            input type="hidden" name="_form" value=(token);
            @if !id.is_empty() { input type="hidden" name="id" value=(id); }
            button.second type="submit" aria-describedby=[about] { (words) }
        }
    }
}

pub(super) fn account(
    gate: &Gate,
    token: &str,
    account: &AccountView,
    (administers, attends, opens): (bool, bool, bool),
    outdated: Option<&str>,
) -> Markup {
    let body = html! {
        p { (account.name) ", signing in as " strong { (account.login) } }
        (button(gate, token, ("sign-out", ""), "Sign out", None))
        @for invited in &account.invited_by_operators {
            p id=(invited.id) {
                strong { "An operator of the house invited " (invited.login) " to administer this clinic" }
                ", who may come from " (time(invited.from)) " on. If nobody here wanted that, somebody who sees the "
                "alerts can refuse it until then."
            }
            @if attends {
                @let of = ("refuse-invitation", invited.id.as_str());
                (button(gate, token, of, "Refuse it", Some(&invited.id)))
            }
        }
        @if let Some(outdated) = outdated {
            p { strong { "The policy of this clinic has grants that may open more than is meant" }
                ", " (outdated) ". " code { "$policy" } " tells what today's say, as a draft." }
        }
        @if administers {
            p { a href=(gate.links().auth("/vendors")) { "Vendors of this clinic" } }
            p { a href=(gate.links().auth("/clients")) { "Programs of this clinic" } }
            p { a href=(gate.links().auth("/identity-providers")) { "Where people may sign in" } }
            p { a href=(gate.links().auth("/registrations")) { "Programs that wait for approval" } }
        }
        @if attends {
            p { a href=(gate.links().auth("/alerts")) { "Accesses that somebody should look at" } }
        }
        @if opens {
            p { a href=(gate.links().auth("/break-glass")) { "Patients opened in an emergency" } }
        }
        h2 { "Where you are signed in" }
        @for (place, session) in account.sessions.iter().enumerate() {
            @let about = format!("session-{place}");
            dl id=(about) {
                dt { @if session.current { "This browser" } @else { "Another browser" } }
                dd { (session.agent) }
                dd { "From " (session.address) ", since " (time(session.began))
                    ", last used " (time(session.used)) }
            }
            @if !session.current {
                @let of = ("end-session", session.id.as_str());
                (button(gate, token, of, "Sign out there", Some(&about)))
            }
        }
        @if account.sessions.len() > 1 {
            (button(gate, token, ("end-other-sessions", ""), "Sign out everywhere else", None))
        }
        h2 { "Programs that act for you" }
        @if account.approvals.is_empty() { p { "None." } }
        @for (place, approval) in account.approvals.iter().enumerate() {
            @let about = format!("approval-{place}");
            dl {
                dt id=(about) { (approval.client) }
                dd { "Since " (time(approval.began)) ": " code { (approval.scopes) } }
            }
            @let of = ("end-approval", approval.id.as_str());
            (button(gate, token, of, "Take back", Some(&about)))
        }
        h2 { "Second step at sign-in" }
        @if account.totp {
            p { "A code of your authenticator app is asked for. Recovery codes left: "
                (account.recovery_codes) "." }
            (guarded(gate, token, account, ("end-totp", &[]), ("Ask for codes no more", "")))
        } @else {
            (guarded(gate, token, account, ("begin-totp", &[]), ("Set up an authenticator app", "")))
        }
        @if account.takes_passkeys || !account.passkeys.is_empty() {
            h2 { "Passkeys" }
            @if account.passkeys.is_empty() { p { "None." } }
            @for passkey in &account.passkeys {
                dl { dt { (passkey.name) } dd { "Since " (time(passkey.made)) } }
                @let of = [("id", passkey.id.as_str())];
                (guarded(gate, token, account, ("remove-passkey", &of), ("Remove", &passkey.name)))
            }
            @if account.takes_passkeys {
                (guarded(gate, token, account, ("begin-passkey", &[]), ("Add a passkey", "")))
            }
        }
        @if !account.providers.is_empty() || !account.accounts.is_empty() {
            h2 { "Accounts elsewhere" }
            @if account.accounts.is_empty() { p { "None." } }
            @for (issuer, subject) in &account.accounts {
                dl { dt { (issuer) } dd { (subject) } }
                @let of = [("issuer", issuer.as_str()), ("subject", subject.as_str())];
                @let words = ("Do not sign in with it any more", issuer.as_str());
                (guarded(gate, token, account, ("unlink", &of), words))
            }
            @for provider in &account.providers {
                @let words = format!("Sign in with {} too", provider.name);
                (guarded(gate, token, account, ("link", &[("id", &provider.id)]), (&words, "")))
            }
        }
        h2 { "Password" }
        @if account.totp || !account.passkeys.is_empty() {
            (guarded(gate, token, account, ("password", &[]), ("Change the password", "")))
        } @else {
            form method="post" action=(gate.links().auth("/account/password")) {
                input type="hidden" name="_form" value=(token);
                label for="old" { "Password now" }
                input #old type="password" name="old" autocomplete="current-password" required;
                (another_password(""))
                button.second type="submit" { "Change the password" }
            }
        }
    };
    page(gate, "Your account", &body)
}

/// Fields for a password instead of the one there is; `place` keeps apart those of several forms.
fn another_password(place: &str) -> Markup {
    let [new, again] = ["new", "again"].map(|name| format!("{place}{name}"));
    html! {
        label for=(new) { "New password" }
        input id=(new) type="password" name="new" autocomplete="new-password" required;
        label for=(again) { "The same again" }
        input id=(again) type="password" name="again" autocomplete="new-password" required;
    }
}

fn password_now(id: &str) -> Markup {
    html! {
        label for=(id) { "Password" }
        input id=(id) type="password" name="password" autocomplete="current-password" required;
    }
}

/// Fields that say of what something is done.
type Of<'a> = &'a [(&'a str, &'a str)];

/// What is done only by somebody who shows who they are (`named`: with what, where there are several of the
/// same words): a form that asks for the password, or a button to
/// where a second factor is asked for too.
fn guarded(
    gate: &Gate,
    token: &str,
    account: &AccountView,
    (what, of): (&str, Of<'_>),
    (words, named): (&str, &str),
) -> Markup {
    let two = account.totp || !account.passkeys.is_empty();
    let action = if two { "prove" } else { what };
    let field = match (what, of.last()) {
        ("begin-passkey", _) => "passkey-password".to_owned(),
        ("begin-totp", _) => "totp-password".to_owned(),
        (what, last) => format!("{what}-{}", last.map_or("", |(_, value)| value)),
    };
    html! {
        form method="post" action=(gate.links().auth(&format!("/account/{action}")))
            aria-label={ (words) @if !named.is_empty() { ": " (named) } } {
            input type="hidden" name="_form" value=(token);
            @if two { input type="hidden" name="what" value=(what); }
            @for (name, value) in of { input type="hidden" name=(name) value=(value); }
            @if !two && account.has_password { (password_now(&field)) }
            button.second type="submit" { (words) }
        }
    }
}

/// Asks for the password and a second factor, and goes on to what was wanted with both.
pub(super) fn prove(
    gate: &Gate,
    token: &str,
    (what, of, has_password): (&str, &[(&str, String)], bool),
    question: Option<&PasskeyQuestion>,
) -> Markup {
    let action = format!("/account/{what}");
    let fields = |place: &str| {
        html! {
            input type="hidden" name="_form" value=(token);
            @for (name, value) in of {
                @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
            }
            @if has_password { (password_now(&format!("{place}-password"))) }
            @if what == "password" { (another_password(&format!("{place}-"))) }
        }
    };
    let body = html! {
        @if let Some(question) = question {
            (passkey_form(gate, &action, question, &fields("passkey"), "Use a passkey that you have"))
            h2 { "Or" }
        }
        form method="post" action=(gate.links().auth(&action)) {
            (fields("code"))
            label for="code" { "Code of your authenticator app, or a recovery code" }
            input #code type="text" name="code" autocomplete="one-time-code" autocapitalize="none"
                spellcheck="false" required;
            button type="submit" { "Go on" }
        }
        p { a href=(gate.links().auth("/account")) { "Back to your account" } }
    };
    page(gate, "Show that it is you", &body)
}

/// The last step before an account elsewhere is linked: a link, because forms go nowhere else.
pub(super) fn link(gate: &Gate, url: &str) -> Markup {
    let body = html! {
        p { "Sign in there anew; then that account signs you in here." }
        p { a #go-on.button href=(url) { "Go on" } }
        p { a href=(gate.links().auth("/account")) { "Back to your account" } }
    };
    page(gate, "An account elsewhere", &body)
}

pub(super) fn begin_totp(
    gate: &Gate,
    token: &str,
    (secret, link): (&str, &str),
    failure: Option<&Failure>,
) -> Markup {
    let words = |failure: &Failure| {
        match failure.code() {
        Code::CredentialsInvalid => {
            "This is not the code that it shows now. Wait for the next one, and look whether the clock of \
             the device is right."
                .to_owned()
        }
        _ => told(failure),
    }
    };
    let (invalid, described) = tied(failure.is_some());
    let body = html! {
        @if let Some(failure) = failure { (wrong(&words(failure))) }
        p { "Add this key to your authenticator app, or open the link on the device that has it." }
        p { code #secret { (secret) } }
        p { a href=(link) { "Open in an authenticator app" } }
        form method="post" action=(gate.links().auth("/account/confirm-totp")) {
            input type="hidden" name="_form" value=(token);
            label for="code" { "The code that it shows now" }
            input #code type="text" name="code" autocomplete="one-time-code" required autofocus
                aria-invalid=[invalid] aria-describedby=[described];
            button type="submit" { "Ask for codes from now on" }
        }
    };
    page_after(
        gate,
        "Set up an authenticator app",
        failure.is_some(),
        &body,
    )
}

pub(super) fn recovery_codes(gate: &Gate, codes: &[String]) -> Markup {
    let body = html! {
        p { "Keep these codes where you find them without your device. Each is good once. They are \
             not shown again." }
        ul #recovery { @for code in codes { li { code { (code) } } } }
        p { a href=(gate.links().auth("/account")) { "To your account" } }
    };
    page(gate, "Recovery codes", &body)
}
