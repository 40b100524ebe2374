//! The one route table: every URL that Insula answers, what it does, and who may ask. The router
//! is built from [`ROUTES`] and nothing else registers routes.
//!
//! Who may ask is not a column beside the handler but the handler's own shape: one that takes a
//! session cannot be reached without credentials that were found good.

use std::future::Future;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use engine::{Failure, Gate, House, Operator, Session, Visitor};
use http::{Method, Response};

use crate::app::At;
use crate::call::Call;
use crate::problem::Style;
use crate::{admin, auth, fhir, oauth, operation, policy, probes, quarantine, vendors};

/// What a handler gives back.
pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<Body>, Failure>> + Send + 'static>>;

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The house itself.
    House,
    /// `/t/{tenant}`, or the root of the host `{tenant}.{domain}`.
    Tenant,
    /// `/t/{tenant}/fhir`, or `/fhir` of the host `{tenant}.{domain}`.
    Fhir,
}

impl Base {
    /// The path of the base.
    pub const fn path(self) -> &'static str {
        match self {
            Self::House => "",
            Self::Tenant => "/t/{tenant}",
            Self::Fhir => "/t/{tenant}/fhir",
        }
    }

    /// The path of the base on a tenant's own host.
    pub const fn host_path(self) -> Option<&'static str> {
        match self {
            Self::House => None,
            Self::Tenant => Some(""),
            Self::Fhir => Some("/fhir"),
        }
    }

    pub(crate) const fn style(self) -> Style {
        match self {
            Self::Fhir => Style::Fhir,
            Self::House | Self::Tenant => Style::Problem,
        }
    }
}

/// What a caller must be able to do, in the letters of SMART scopes, on the types concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Anyone.
    Open,
    /// Anyone, in a tenant that serves.
    Gate,
    /// A recognised caller of the tenant; the scope letters that the interaction needs, or `a` where
    /// policy must let them administer it.
    Caller(&'static str),
    /// A person in their own browser, signed in to the tenant.
    Visitor,
    /// The operator.
    Operator,
}

/// The code behind a route; its shape says what it is given.
pub(crate) enum Handler {
    Open(fn(Call) -> Answering),
    Gate(fn(Gate, Call) -> Answering),
    Caller(&'static str, fn(Session, Call) -> Answering),
    Visitor(fn(Visitor, Call) -> Answering),
    Operator(fn(Operator, Call) -> Answering),
}

/// One row of the table.
pub struct Route {
    /// The method; GET also answers HEAD.
    pub method: Method,
    /// Where the path begins.
    pub base: Base,
    /// The rest of the path.
    pub path: &'static str,
    /// The interaction, as FHIR, OAuth or the admin API calls it; also the label of its metrics.
    pub interaction: &'static str,
    pub(crate) handler: Handler,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} ({})",
            self.method,
            self.full_path(),
            self.interaction
        )
    }
}

impl Route {
    /// The whole path, with `{tenant}` in it where one is meant.
    pub fn full_path(&self) -> String {
        format!("{}{}", self.base.path(), self.path)
    }

    /// Who may ask.
    pub const fn class(&self) -> Class {
        match self.handler {
            Handler::Open(_) => Class::Open,
            Handler::Gate(_) => Class::Gate,
            Handler::Caller(letters, _) => Class::Caller(letters),
            Handler::Visitor(_) => Class::Visitor,
            Handler::Operator(_) => Class::Operator,
        }
    }
}

macro_rules! routes {
    ($($method:ident $base:ident $path:literal $interaction:literal $shape:ident $(($letters:literal))? $handler:path;)+) => {
        /// Every route.
        pub static ROUTES: &[Route] = &[$(Route {
            method: Method::$method,
            base: Base::$base,
            path: $path,
            interaction: $interaction,
            handler: routes!(@ $shape $(($letters))? $handler),
        },)+];
    };
    (@ Open $handler:path) => { Handler::Open(|call| Box::pin($handler(call))) };
    (@ Gate $handler:path) => { Handler::Gate(|gate, call| Box::pin($handler(gate, call))) };
    (@ Caller ($letters:literal) $handler:path) => {
        Handler::Caller($letters, |session, call| Box::pin($handler(session, call)))
    };
    (@ Visitor $handler:path) => {
        Handler::Visitor(|visitor, call| Box::pin($handler(visitor, call)))
    };
    (@ Operator $handler:path) => {
        Handler::Operator(|operator, call| Box::pin($handler(operator, call)))
    };
}

routes! {
    GET    House  "/health/live"   "live"    Open     probes::live;
    GET    House  "/health/ready"  "ready"   Open     probes::ready;
    GET    House  "/metrics"       "metrics" Operator probes::metrics;

    GET    House  "/admin/v1/openapi.json"                        "openapi"        Open     admin::openapi;
    GET    House  "/admin/v1/tenants"                             "list-tenants"   Operator admin::list_tenants;
    POST   House  "/admin/v1/tenants"                             "create-tenant"  Operator admin::create_tenant;
    GET    House  "/admin/v1/tenants/{name}"                      "show-tenant"    Operator admin::show_tenant;
    PATCH  House  "/admin/v1/tenants/{name}"                      "change-tenant"  Operator admin::change_tenant;
    DELETE House  "/admin/v1/tenants/{name}"                      "delete-tenant"  Operator admin::delete_tenant;
    POST   House  "/admin/v1/tenants/{name}/suspend"              "suspend-tenant" Operator admin::suspend_tenant;
    POST   House  "/admin/v1/tenants/{name}/resume"               "resume-tenant"  Operator admin::resume_tenant;
    GET    House  "/admin/v1/tenants/{name}/receipt"              "receipt"        Operator admin::receipt;
    POST   House  "/admin/v1/tenants/{name}/verify"               "verify-tenant"  Operator admin::verify_tenant;
    POST   House  "/admin/v1/tenants/{name}/begin-anew"           "begin-anew"     Operator admin::begin_anew;
    GET    House  "/admin/v1/tenants/{name}/scrub"                "scrub-status"   Operator quarantine::status;
    POST   House  "/admin/v1/tenants/{name}/scrub"                "begin-scrub"    Operator quarantine::begin;
    GET    House  "/admin/v1/tenants/{name}/quarantine"           "list-quarantine" Operator quarantine::list;
    GET    House  "/admin/v1/tenants/{name}/break-glass"          "count-openings" Operator quarantine::openings;
    GET    House  "/admin/v1/tenants/{name}/audit"                "read-audit"     Operator admin::read_audit;
    GET    House  "/admin/v1/tenants/{name}/alerts"               "count-alerts"   Operator quarantine::alerts;
    GET    House  "/admin/v1/audit/shipping"                      "audit-shipping" Operator admin::audit_shipping;
    GET    House  "/admin/v1/tenants/{name}/audit/head"           "audit-head"     Operator admin::audit_head;
    GET    House  "/admin/v1/tenants/{name}/audit/proof"          "audit-proof"    Operator admin::audit_proof;
    GET    House  "/admin/v1/tenants/{name}/audit/report"         "access-report"  Operator admin::report;
    POST   House  "/admin/v1/tenants/{name}/backup"               "backup-tenant"  Operator admin::back_up_tenant;
    POST   House  "/admin/v1/tenants/{name}/restore"              "restore-tenant" Operator admin::restore_tenant;
    GET    House  "/admin/v1/tenants/{name}/imports"              "list-imports"   Operator admin::list_imports;
    POST   House  "/admin/v1/tenants/{name}/imports"              "open-import"    Operator admin::open_import;
    DELETE House  "/admin/v1/tenants/{name}/imports/{import_id}"  "revoke-import"  Operator admin::revoke_import;
    POST   House  "/admin/v1/tenants/{name}/imports/{import_id}/renew" "renew-import" Operator admin::renew_import;
    GET    House  "/admin/v1/tenants/{name}/clients"              "list-clients"   Operator admin::list_clients;
    POST   House  "/admin/v1/tenants/{name}/clients"              "create-client"  Operator admin::create_client;
    DELETE House  "/admin/v1/tenants/{name}/clients/{client_id}"  "revoke-client"  Operator admin::revoke_client;
    GET    House  "/admin/v1/tenants/{name}/registrations"        "list-waiting-clients" Operator admin::list_registrations;
    POST   House  "/admin/v1/tenants/{name}/registrations/{client_id}" "decide-waiting-client" Operator admin::decide_registration;
    GET    House  "/admin/v1/policy-presets"                      "policy-presets" Operator policy::presets;
    GET    House  "/admin/v1/tenants/{name}/policy"               "show-policy"    Operator policy::show;
    POST   House  "/admin/v1/tenants/{name}/policy"               "publish-policy" Operator policy::publish;
    GET    House  "/admin/v1/tenants/{name}/policy/versions"      "list-policies"  Operator policy::versions;
    GET    House  "/admin/v1/tenants/{name}/policy/versions/{version}" "show-policy-version" Operator policy::version;
    GET    House  "/admin/v1/tenants/{name}/policy/diff"          "diff-policy"    Operator policy::diff;
    GET    House  "/admin/v1/tenants/{name}/policy/matrix"        "policy-matrix"  Operator policy::matrix;
    POST   House  "/admin/v1/tenants/{name}/policy/test"          "test-policy"    Operator policy::test;
    POST   House  "/admin/v1/tenants/{name}/policy/import"        "import-policy"  Operator policy::import;
    POST   House  "/admin/v1/tenants/{name}/policy/dry-run"       "dry-run-policy" Operator policy::dry_run;
    GET    House  "/admin/v1/tenants/{name}/people"               "list-administrators" Operator admin::list_people;
    POST   House  "/admin/v1/tenants/{name}/people"               "create-administrator" Operator admin::create_person;
    DELETE House  "/admin/v1/tenants/{name}/people/{person}"      "disable-person" Operator admin::disable_person;
    POST   House  "/admin/v1/tenants/{name}/people/{person}/invitation" "invite-administrator" Operator admin::invite_person;
    GET    House  "/admin/v1/tenants/{name}/vendors"              "list-vendors"   Operator vendors::list;
    POST   House  "/admin/v1/tenants/{name}/vendors"              "propose-vendor" Operator vendors::propose;
    GET    House  "/admin/v1/tenants/{name}/vendors/{vendor}"     "show-vendor"    Operator vendors::show;
    POST   House  "/admin/v1/tenants/{name}/vendors/{vendor}/switch" "switch-vendor" Operator vendors::switch;
    GET    House  "/admin/v1/tenants/{name}/vendors/{vendor}/activity" "vendor-activity" Operator vendors::activity;
    GET    House  "/admin/v1/tenants/{name}/identity-providers"   "list-identity-providers" Operator admin::list_providers;
    POST   House  "/admin/v1/tenants/{name}/identity-providers"   "set-identity-provider" Operator admin::set_provider;
    DELETE House  "/admin/v1/tenants/{name}/identity-providers/{provider}" "drop-identity-provider" Operator admin::drop_provider;
    POST   House  "/admin/v1/tenants/{name}/signing-keys"         "rotate-signing-key" Operator admin::rotate_signing_key;
    POST   House  "/admin/v1/key/rotate"                          "rotate-key"     Operator admin::rotate_key;

    GET    House  "/auth/style.css"     "house-style"   Open    auth::house_style;
    GET    House  "/.well-known/oauth-authorization-server/t/{tenant}/auth" "authorization-server" Open oauth::authorization_server;
    GET    House  "/auth/choose"        "choose-tenant" Open    auth::choice::leave;
    GET    House  "/auth/callback"      "provider-callback" Open   auth::provider::forward;
    GET    Tenant "/auth/providers/{provider}" "provider-sign-in" Gate auth::provider::depart;
    POST   Tenant "/auth/providers/{provider}" "provider-invitation" Gate auth::provider::invited;
    GET    Tenant "/auth/providers/{provider}/callback" "provider-callback" Gate auth::provider::arrive;
    POST   Tenant "/auth/providers/{provider}/logout" "back-channel-logout" Gate auth::provider::logout;
    POST   Tenant "/auth/token"         "token"         Gate    oauth::token;
    POST   Tenant "/auth/introspect"    "introspect"    Gate    oauth::introspect;
    POST   Tenant "/auth/revoke"        "revoke"        Gate    oauth::revoke;
    POST   Tenant "/auth/register"      "register"      Gate    auth::registrations::register;
    GET    Tenant "/auth/register/{client_id}" "registered" Gate auth::registrations::registered;
    PUT    Tenant "/auth/register/{client_id}" "register-anew" Gate auth::registrations::register_anew;
    DELETE Tenant "/auth/register/{client_id}" "unregister" Gate auth::registrations::unregister;
    GET    Tenant "/auth/registrations" "list-registrations" Visitor auth::registrations::list;
    POST   Tenant "/auth/registrations/{client_id}" "decide-registration" Visitor auth::registrations::decide;
    GET    Tenant "/auth/clients"       "list-own-clients" Visitor auth::clients::list;
    POST   Tenant "/auth/clients/{client_id}" "decide-client" Visitor auth::clients::decide;
    GET    Tenant "/auth/identity-providers" "list-own-providers" Visitor auth::identity_providers::list;
    POST   Tenant "/auth/identity-providers/{provider}" "decide-provider" Visitor auth::identity_providers::decide;
    POST   Tenant "/auth/registration-tokens" "invite-program" Visitor auth::registrations::invite;
    GET    Tenant "/auth/jwks"          "jwks"          Gate    oauth::jwks;
    GET    Tenant "/.well-known/oauth-authorization-server/auth" "authorization-server" Gate oauth::configuration;
    GET    Tenant "/auth/.well-known/openid-configuration" "openid-configuration" Gate oauth::configuration;
    GET    Tenant "/auth/style.css"     "style"         Gate    auth::style;
    GET    Tenant "/auth/passkey.js"    "script"        Gate    auth::script;
    GET    Tenant "/auth/passkey"       "passkey-page"  Gate    auth::sign_in::passkey;
    POST   Tenant "/auth/passkey"       "passkey-sign-in" Gate  auth::sign_in::by_passkey;
    GET    Tenant "/auth/login"         "sign-in-page"  Gate    auth::sign_in::page;
    POST   Tenant "/auth/login"         "sign-in"       Gate    auth::sign_in::sign_in;
    POST   Tenant "/auth/second-factor" "second-factor" Gate    auth::sign_in::second_factor;
    GET    Tenant "/auth/invitation"    "invitation"    Gate    auth::sign_in::invitation;
    POST   Tenant "/auth/invitation"    "accept-invitation" Gate auth::sign_in::accept;
    GET    Tenant "/auth/authorize"     "authorize"     Gate    auth::authorize::page;
    POST   Tenant "/auth/authorize"     "approve"       Gate    auth::authorize::decide;
    GET    Tenant "/auth/end-session"   "end-session"   Gate    auth::end_session::page;
    POST   Tenant "/auth/end-session"   "sign-out"      Gate    auth::end_session::decide;
    GET    Tenant "/auth/userinfo"      "userinfo"      Caller("") oauth::userinfo;
    POST   Tenant "/auth/userinfo"      "userinfo"      Caller("") oauth::userinfo;
    GET    Tenant "/auth/account"       "account"       Visitor auth::account::page;
    POST   Tenant "/auth/account/{action}" "change-account" Visitor auth::account::act;
    GET    Tenant "/auth/people"        "list-people"   Visitor auth::people::list;
    POST   Tenant "/auth/people"        "create-person" Visitor auth::people::create;
    PATCH  Tenant "/auth/people/{person}" "change-person" Visitor auth::people::change;
    POST   Tenant "/auth/people/{person}/invitation" "invite-person" Visitor auth::people::invite;
    POST   Tenant "/auth/people/{person}/sign-out" "sign-person-out" Visitor auth::people::sign_out;
    GET    Tenant "/auth/alerts"        "list-alerts"   Visitor auth::alerts::list;
    GET    Tenant "/auth/alerts/{number}" "show-alert"  Visitor auth::alerts::show;
    POST   Tenant "/auth/alerts/{number}" "acknowledge-alert" Visitor auth::alerts::acknowledge;
    GET    Tenant "/auth/break-glass"   "list-openings" Visitor auth::openings::list;
    GET    Tenant "/auth/break-glass/{id}" "show-opening" Visitor auth::openings::show;
    POST   Tenant "/auth/break-glass/{id}" "review-opening" Visitor auth::openings::review;
    GET    Tenant "/auth/access-report" "own-access-report" Visitor auth::access_report::show;
    GET    Tenant "/auth/alert-rules"   "show-alert-rules" Visitor auth::alerts::rules::show;
    POST   Tenant "/auth/alert-rules"   "publish-alert-rules" Visitor auth::alerts::rules::publish;
    POST   Tenant "/auth/launches"      "launch"        Caller("r") auth::people::launch;
    GET    Tenant "/auth/launches"      "list-launches" Caller("")  auth::people::launches;
    GET    Tenant "/auth/vendors"       "list-own-vendors" Visitor  auth::vendors::list;
    POST   Tenant "/auth/vendors"       "propose-own-vendor" Visitor auth::vendors::propose;
    GET    Tenant "/auth/vendors/{vendor}" "show-own-vendor" Visitor auth::vendors::show;
    POST   Tenant "/auth/vendors/{vendor}/switch" "switch-own-vendor" Visitor auth::vendors::switch;
    GET    Tenant "/auth/vendors/{vendor}/activity" "own-vendor-activity" Visitor auth::vendors::activity;
    POST   Tenant "/auth/vendor"        "vendor-self"   Gate    oauth::vendor;
    GET    Tenant "/auth/links"         "list-links"    Visitor auth::vendors::links;
    POST   Tenant "/auth/links"         "keep-link"     Visitor auth::vendors::keep_link;
    DELETE Tenant "/auth/links/{link}"  "drop-link"     Visitor auth::vendors::drop_link;

    GET    Fhir   "/.well-known/smart-configuration" "smart-configuration" Gate oauth::smart_configuration;
    GET    Fhir   "/metadata"               "capabilities"       Gate          fhir::capabilities;
    GET    Fhir   ""                        "search-system"      Caller("s")   fhir::search_system;
    GET    Fhir   "/"                       "search-system"      Caller("s")   fhir::search_system;
    POST   Fhir   ""                        "transaction"        Caller("cruds") fhir::batch_or_transaction;
    POST   Fhir   "/"                       "transaction"        Caller("cruds") fhir::batch_or_transaction;
    POST   Fhir   "/$reindex"               "reindex"            Caller("u")   fhir::reindex;
    GET    Fhir   "/$reindex-status"        "reindex-status"     Caller("s")   fhir::reindex_status;
    POST   Fhir   "/{type}/{id}/$reindex"   "reindex-instance"   Caller("u")   fhir::reindex_instance;
    POST   Fhir   "/_search"                "search-system"      Caller("s")   fhir::search_system;
    POST   Fhir   "/$fhirpath"              "fhirpath"           Caller("r")   fhir::fhirpath;
    GET    Fhir   "/{type}/{id}/$fhirpath"  "fhirpath-instance"  Caller("r")   operation::operation;
    POST   Fhir   "/{type}/{id}/$fhirpath"  "fhirpath-instance"  Caller("r")   operation::operation;
    GET    Fhir   "/_history"               "history-system"     Caller("s")   fhir::history_system;
    GET    Fhir   "/{type}"                 "search-type"        Caller("s")   fhir::search_type;
    POST   Fhir   "/{type}"                 "create"             Caller("c")   fhir::create;
    PATCH  Fhir   "/{type}"                 "patch-conditional"  Caller("us")  fhir::patch_where;
    PUT    Fhir   "/{type}"                 "update-conditional" Caller("us")  fhir::update_where;
    DELETE Fhir   "/{type}"                 "delete-conditional" Caller("ds")  fhir::delete_where;
    POST   Fhir   "/{type}/_search"         "search-type"        Caller("s")   fhir::search_type;
    GET    Fhir   "/{type}/_history"        "history-type"       Caller("s")   fhir::history_type;
    GET    Fhir   "/{type}/{id}"            "read"               Caller("r")   fhir::read;
    PUT    Fhir   "/{type}/{id}"            "update"             Caller("u")   fhir::update;
    PATCH  Fhir   "/{type}/{id}"            "patch"              Caller("u")   fhir::patch;
    DELETE Fhir   "/{type}/{id}"            "delete"             Caller("d")   fhir::delete;
    GET    Fhir   "/{type}/{id}/_history"   "history-instance"   Caller("s")   fhir::history_instance;
    GET    Fhir   "/{type}/{id}/_history/{version}" "vread"      Caller("r")   fhir::vread;
    GET    Fhir   "/$policy"                "policy"             Caller("a")   operation::operation;
    POST   Fhir   "/$policy"                "policy"             Caller("a")   operation::operation;
    POST   Fhir   "/$policy-publish"        "policy-publish"     Caller("a")   operation::operation;
    POST   Fhir   "/$policy-test"           "policy-test"        Caller("a")   operation::operation;
    POST   Fhir   "/$policy-import"         "policy-import"      Caller("a")   operation::operation;
    POST   Fhir   "/$policy-dry-run"        "policy-dry-run"     Caller("a")   operation::operation;
    GET    Fhir   "/$break-glass"           "break-glass-list"   Caller("r")   operation::operation;
    POST   Fhir   "/$break-glass-end"       "break-glass-end"    Caller("r")   operation::operation;
    GET    Fhir   "/$break-glass-review"    "break-glass-review" Caller("r")   operation::operation;
    POST   Fhir   "/$break-glass-review"    "break-glass-review" Caller("r")   operation::operation;
    POST   Fhir   "/{type}/{id}/$break-glass" "break-glass"      Caller("r")   operation::operation;
    GET    Fhir   "/$alerts"                "alerts"             Caller("a")   operation::operation;
    POST   Fhir   "/$alerts"                "alerts"             Caller("a")   operation::operation;
    POST   Fhir   "/$alert-acknowledge"     "alert-acknowledge"  Caller("a")   operation::operation;
    GET    Fhir   "/$alert-rules"           "alert-rules"        Caller("a")   operation::operation;
    POST   Fhir   "/$alert-rules"           "alert-rules"        Caller("a")   operation::operation;
    POST   Fhir   "/$alert-rules-publish"   "alert-rules-publish" Caller("a")  operation::operation;
    GET    Fhir   "/$vendors"               "vendors"            Caller("a")   operation::operation;
    POST   Fhir   "/$vendors"               "vendors"            Caller("a")   operation::operation;
    POST   Fhir   "/$vendor"                "vendor"             Caller("a")   operation::operation;
    POST   Fhir   "/$vendor-propose"        "vendor-propose"     Caller("a")   operation::operation;
    POST   Fhir   "/$vendor-switch"         "vendor-switch"      Caller("a")   operation::operation;
    POST   Fhir   "/$vendor-activity"       "vendor-activity"    Caller("a")   operation::operation;
    GET    Fhir   "/$quarantine"            "quarantine"         Caller("a")   operation::operation;
    POST   Fhir   "/$quarantine"            "quarantine"         Caller("a")   operation::operation;
    POST   Fhir   "/$quarantine-decide"     "quarantine-decide"  Caller("a")   operation::operation;
    GET    Fhir   "/$meta"                  "meta"               Caller("s")   operation::operation;
    POST   Fhir   "/$meta"                  "meta"               Caller("s")   operation::operation;
    GET    Fhir   "/{type}/$meta"           "meta"               Caller("s")   operation::operation;
    POST   Fhir   "/{type}/$meta"           "meta"               Caller("s")   operation::operation;
    GET    Fhir   "/{type}/{id}/$meta"      "meta"               Caller("r")   operation::operation;
    POST   Fhir   "/{type}/{id}/$meta"      "meta"               Caller("r")   operation::operation;
    GET    Fhir   "/{type}/{id}/_history/{version}/$meta" "meta" Caller("r")   operation::operation;
    POST   Fhir   "/{type}/{id}/_history/{version}/$meta" "meta" Caller("r")   operation::operation;
    POST   Fhir   "/{type}/{id}/$meta-add"    "meta-add"         Caller("ru")  operation::operation;
    POST   Fhir   "/{type}/{id}/$meta-delete" "meta-delete"      Caller("ru")  operation::operation;
    GET    Fhir   "/{type}/$lastn"          "lastn"              Caller("s")   operation::operation;
    POST   Fhir   "/{type}/$lastn"          "lastn"              Caller("s")   operation::operation;
    GET    Fhir   "/{type}/$everything"     "everything"         Caller("s")   operation::operation;
    POST   Fhir   "/{type}/$everything"     "everything"         Caller("s")   operation::operation;
    GET    Fhir   "/{type}/{id}/$everything"  "everything"       Caller("rs")  operation::operation;
    POST   Fhir   "/{type}/{id}/$everything"  "everything"       Caller("rs")  operation::operation;
    GET    Fhir   "/$graphql"               "graphql"            Caller("s")   operation::operation;
    POST   Fhir   "/$graphql"               "graphql"            Caller("s")   operation::operation;
    GET    Fhir   "/{type}/$graphql"        "graphql"            Caller("s")   operation::operation;
    POST   Fhir   "/{type}/$graphql"        "graphql"            Caller("s")   operation::operation;
    GET    Fhir   "/{type}/{id}/$graphql"   "graphql"            Caller("r")   operation::operation;
    POST   Fhir   "/{type}/{id}/$graphql"   "graphql"            Caller("r")   operation::operation;
    GET    Fhir   "/{type}/{id}/{inner}"    "search-compartment" Caller("s")   fhir::search_compartment;
    POST   Fhir   "/{type}/{id}/{inner}/_search" "search-compartment" Caller("s") fhir::search_compartment;
}

/// The router with every route of the table: tenants by path, and by host where a domain is
/// configured.
pub(crate) fn router(house: &House) -> Router {
    let own_hosts = house.config().domain.is_some();
    let mut paths: Vec<(String, Vec<&'static Route>)> = Vec::new();
    for route in ROUTES {
        let own = route.base.host_path().filter(|_| own_hosts);
        let own = own
            .map(|base| format!("{base}{}", route.path))
            .filter(|path| !path.is_empty());
        for path in std::iter::once(route.full_path()).chain(own) {
            match paths.iter_mut().find(|(known, _)| *known == path) {
                Some((_, rows)) => rows.push(route),
                None => paths.push((path, vec![route])),
            }
        }
    }
    paths
        .into_iter()
        .fold(Router::new(), |router, (path, rows)| {
            router.route_service(&path, At::new(house, rows))
        })
}
