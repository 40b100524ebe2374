//! What kinds of failure there are, and the one table of stable codes.
//!
//! Every error of every crate answers `kind()` and `code()`. Edges map kinds to their own
//! status in one file each; codes go to callers as they are and never change meaning.

/// What sort of failure it is; an edge maps this to its own status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is wrong and will stay wrong.
    Incorrect,
    /// The request is larger than a named limit.
    TooLarge,
    /// The content is well-formed but breaks a rule.
    Unprocessable,
    /// No or bad credentials.
    Unauthenticated,
    /// Known caller, no right.
    Forbidden,
    /// Nothing there, or nothing that the caller may see.
    NotFound,
    /// It was there and is deleted for good or for now.
    Gone,
    /// The state of the data contradicts the request.
    Conflict,
    /// A condition that the caller set does not hold.
    Precondition,
    /// Host and path name different tenants.
    Misdirected,
    /// Insula does not do this.
    Unsupported,
    /// Try again later.
    Busy,
    /// Our failure.
    Fault,
}

macro_rules! codes {
    ($($name:ident = $text:literal, $kind:ident, $issue:literal, $doc:literal;)+) => {
        /// Stable codes of failures and refusals. Append only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $doc] $name,)+ }

        impl Code {
            /// Every code, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as callers see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The kind of failure.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)+ }
            }

            /// The code of FHIR's `issue-type` value set that fits.
            pub const fn issue_type(self) -> &'static str {
                match self { $(Self::$name => $issue,)+ }
            }

            /// One sentence for the documentation.
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$name => $doc,)+ }
            }
        }
    };
}

codes! {
    JsonSyntax = "json-syntax", Incorrect, "structure", "The body is not JSON.";
    JsonDuplicateKey = "json-duplicate-key", Incorrect, "structure", "An object has the same member twice.";
    BodyEmpty = "body-empty", Incorrect, "required", "The request needs a body.";
    BodyIncomplete = "body-incomplete", Incorrect, "incomplete", "The body ended early.";
    LimitExceeded = "limit-exceeded", TooLarge, "too-costly", "A named limit was passed (size).";
    LimitQuery = "limit-query", Incorrect, "too-costly", "A named limit was passed (shape of the request).";
    LimitBusy = "limit-busy", Busy, "throttled", "A queue is full; try again.";
    LimitTime = "limit-time", Busy, "timeout", "The request took longer than allowed.";
    ResourceTypeUnknown = "resource-type-unknown", NotFound, "not-supported", "This version of FHIR has no such resource type.";
    ResourceTypeMismatch = "resource-type-mismatch", Incorrect, "invalid", "The resource is not of the type in the URL.";
    ResourceIdInvalid = "resource-id-invalid", Incorrect, "value", "Not a FHIR id.";
    ResourceIdMismatch = "resource-id-mismatch", Incorrect, "invalid", "The id in the body is not the id in the URL.";
    ElementUnknown = "element-unknown", Unprocessable, "structure", "The element does not exist in this version of FHIR.";
    ElementType = "element-type", Unprocessable, "structure", "The element has another JSON type.";
    ElementCardinality = "element-cardinality", Unprocessable, "required", "Too few or too many of the element.";
    ElementValue = "element-value", Unprocessable, "value", "The value is not of the element's format.";
    ElementCode = "element-code", Unprocessable, "code-invalid", "The code is not in the required value set.";
    ElementEmpty = "element-empty", Unprocessable, "structure", "An object or array is empty.";
    ReferenceTarget = "reference-target", Unprocessable, "value", "The reference points to a type that is not allowed there.";
    ReferenceMissing = "reference-missing", Unprocessable, "not-found", "The referenced resource does not exist here.";
    ReferenceAmbiguous = "reference-ambiguous", Precondition, "multiple-matches", "A conditional reference matched not exactly one resource.";
    ReferenceInUse = "reference-in-use", Conflict, "conflict", "Other resources still refer to this one.";
    NotFound = "not-found", NotFound, "not-found", "No such resource.";
    Deleted = "deleted", Gone, "deleted", "The resource was deleted.";
    VersionConflict = "version-conflict", Precondition, "conflict", "If-Match names another version than the current one.";
    PreconditionFailed = "precondition-failed", Precondition, "conflict", "A condition of the request does not hold.";
    IfMatchRequired = "if-match-required", Precondition, "conflict", "The request needs If-Match.";
    MultipleMatches = "multiple-matches", Precondition, "multiple-matches", "A conditional request matched more than one resource.";
    DuplicateId = "duplicate-id", Conflict, "duplicate", "A resource with this id exists.";
    WriteRace = "write-race", Conflict, "conflict", "Other writers kept changing what the request depends on.";
    BundleType = "bundle-type", Incorrect, "value", "The Bundle is not of a type that can be posted here.";
    BundleEntry = "bundle-entry", Incorrect, "invalid", "An entry of the Bundle is malformed.";
    BundleDuplicate = "bundle-duplicate", Incorrect, "duplicate", "Two entries of a transaction touch the same resource.";
    SearchParameterUnknown = "search-parameter-unknown", Incorrect, "not-supported", "The type has no such search parameter.";
    SearchModifier = "search-modifier", Incorrect, "not-supported", "The modifier does not fit the parameter.";
    SearchValue = "search-value", Incorrect, "value", "The value does not fit the parameter's type.";
    SearchParameterIgnored = "search-parameter-ignored", Incorrect, "informational", "The parameter was ignored.";
    CursorInvalid = "cursor-invalid", Incorrect, "value", "The paging link is not one of this search and caller.";
    CursorExpired = "cursor-expired", Gone, "expired", "The paging link is too old; search again.";
    MethodNotAllowed = "method-not-allowed", Unsupported, "not-supported", "The URL does not take this method.";
    MediaType = "media-type", Unsupported, "not-supported", "The content type is not supported.";
    NotAcceptable = "not-acceptable", Unsupported, "not-supported", "None of the accepted formats can be produced.";
    NotSupported = "not-supported", Unsupported, "not-supported", "Insula does not do this.";
    RouteUnknown = "route-unknown", NotFound, "not-found", "No such URL.";
    TenantUnknown = "tenant-unknown", NotFound, "not-found", "No such tenant.";
    TenantSuspended = "tenant-suspended", Busy, "suppressed", "The tenant is suspended.";
    TenantLeaving = "tenant-leaving", Gone, "deleted", "The tenant is being deleted.";
    TenantDamaged = "tenant-damaged", Fault, "exception", "The tenant's storage cannot be opened.";
    TenantExists = "tenant-exists", Conflict, "duplicate", "A tenant of this name exists.";
    TenantName = "tenant-name", Incorrect, "value", "Not a tenant name.";
    TenantState = "tenant-state", Conflict, "conflict", "The tenant is not in a state that allows this.";
    Misdirected = "misdirected", Misdirected, "invalid", "Host and path name different tenants.";
    CredentialsMissing = "credentials-missing", Unauthenticated, "login", "The request has no credentials.";
    CredentialsInvalid = "credentials-invalid", Unauthenticated, "login", "The credentials are not good here.";
    TokenExpired = "token-expired", Unauthenticated, "expired", "The token has expired.";
    RateLimited = "rate-limited", Busy, "throttled", "Too many attempts; try again later.";
    ScopeMissing = "scope-missing", Forbidden, "forbidden", "The client's scopes do not cover this.";
    ScopeInvalid = "scope-invalid", Incorrect, "value", "Not a SMART v2 scope that Insula grants.";
    ClientUnknown = "client-unknown", NotFound, "not-found", "No such client.";
    ConfirmationMissing = "confirmation-missing", Incorrect, "required", "Deleting a tenant needs confirm= with its name.";
    BackupExists = "backup-exists", Conflict, "duplicate", "There is a backup of this name.";
    BackupUnknown = "backup-unknown", NotFound, "not-found", "There is no backup of this name.";
    RequestInvalid = "request-invalid", Incorrect, "invalid", "The request is malformed.";
    StorageFull = "storage-full", Busy, "no-store", "The disk is full; nothing was written.";
    StorageFault = "storage-fault", Fault, "exception", "The storage failed; nothing was written.";
    AuditUnavailable = "audit-unavailable", Busy, "no-store", "The access cannot be recorded, so it is not given.";
    Stopping = "stopping", Busy, "transient", "The server is stopping.";
    BackupInvalid = "backup-invalid", Conflict, "conflict", "Not a backup, or not intact, or not of this key.";
    Internal = "internal", Fault, "exception", "An internal failure.";
    LimitHeaders = "limit-headers", TooLarge, "too-costly", "The headers are larger than a named limit.";
    XmlSyntax = "xml-syntax", Incorrect, "structure", "The body is not XML that Insula takes.";
    XmlNamespace = "xml-namespace", Incorrect, "structure", "The element is in another namespace than FHIR's.";
    XmlText = "xml-text", Incorrect, "structure", "Text where FHIR's XML has none.";
    LimitShare = "limit-share", Busy, "throttled", "The tenant's own share of a named limit is used up; try again.";
    ContentCoding = "content-coding", Unsupported, "not-supported", "The body's content coding is not known.";
    PatchInvalid = "patch-invalid", Incorrect, "invalid", "The body is no patch of its kind.";
    PatchFailed = "patch-failed", Unprocessable, "processing", "The patch does not fit the resource.";
    ExpressionInvalid = "expression-invalid", Incorrect, "invalid", "The FHIRPath expression is none, or can be right for no resource of this type.";
    ExpressionFailed = "expression-failed", Unprocessable, "processing", "The FHIRPath expression cannot be evaluated on this content.";
    AuditAltered = "audit-altered", Fault, "exception", "An audit trail, or what is under it, is not as it was written.";
    ImportEnded = "import-ended", Conflict, "expired", "The way in for bulk loading was revoked or has ended.";
    GraphqlInvalid = "graphql-invalid", Incorrect, "invalid", "The GraphQL document is not one, or asks for what is not there.";
    SearchParameterInvalid = "search-parameter-invalid", Unprocessable, "invalid", "The SearchParameter cannot be served.";
    PersonUnknown = "person-unknown", NotFound, "not-found", "No such person.";
    LoginTaken = "login-taken", Conflict, "duplicate", "Another person of the tenant signs in with this name.";
    PasswordRefused = "password-refused", Unprocessable, "value", "The password is too short, too long, or not one to keep.";
    FormForeign = "form-foreign", Forbidden, "security", "The form was not given out to this browser, or is too old.";
    InvitationEnded = "invitation-ended", Gone, "expired", "The invitation was used, replaced, or has ended.";
    PolicyInvalid = "policy-invalid", Unprocessable, "invalid", "The policy document cannot be put into force.";
    ReasonRequired = "reason-required", Forbidden, "forbidden", "Policy asks for a reason: send the header Access-Reason.";
    StepUpRequired = "step-up-required", Forbidden, "forbidden", "Policy asks the person to prove who they are by two factors.";
    ElementHidden = "element-hidden", Forbidden, "forbidden", "The request looks at, or would change, an element that policy hides from the caller.";
    ElementReadOnly = "element-read-only", Forbidden, "forbidden", "Policy does not let the caller change the element.";
    OperationRefused = "operation-refused", Forbidden, "forbidden", "Policy refuses the operation to the caller.";
    TermsMissing = "terms-missing", Incorrect, "not-found", "The tenant does not hold the value set or code system, or not in a form that can be searched by.";
    VendorUnknown = "vendor-unknown", NotFound, "not-found", "No such vendor here.";
    VendorDisabled = "vendor-disabled", Forbidden, "suppressed", "The vendor's grant is switched off, or was never enabled.";
    VendorReadOnly = "vendor-read-only", Forbidden, "suppressed", "The vendor's grant lets read only at present.";
    VendorEnded = "vendor-ended", Forbidden, "expired", "The vendor's contract has not begun, or has ended.";
    VendorNetwork = "vendor-network", Forbidden, "forbidden", "The request does not come from a network of the vendor's grant.";
    VendorCertificate = "vendor-certificate", Forbidden, "forbidden", "The request was not made with a client certificate that the vendor's grant names.";
    OwnEvidence = "own-evidence", Forbidden, "forbidden", "The change would open a chart to whoever makes it.";
    PersonOnly = "person-only", Forbidden, "forbidden", "Only a person of the tenant may decide this.";
    ClinicOnly = "clinic-only", Forbidden, "forbidden", "Only the clinic may do this.";
    LinkUnknown = "link-unknown", NotFound, "not-found", "No such program link.";
    TrailReadOnly = "trail-read-only", Forbidden, "forbidden", "Events of the store's own audit trail are made by it alone; nobody creates, changes or deletes them.";
    OutboundRefused = "outbound-refused", Incorrect, "value", "An address outside that may not be asked: https to a public address, or one that the configuration allows.";
    OutboundFailed = "outbound-failed", Busy, "transient", "An address outside did not answer as it should.";
    ProviderUnknown = "provider-unknown", NotFound, "not-found", "No such identity provider.";
    ProviderAnswer = "provider-answer", Unauthenticated, "login", "What the identity provider answered is not good.";
    AccountUnlinked = "account-unlinked", Forbidden, "forbidden", "Nobody here is linked to this account of the identity provider.";
    ResourceQuarantined = "resource-quarantined", Fault, "exception", "What is stored of the resource is not as it was written; it is kept apart until somebody of the tenant decides about it.";
    AlertState = "alert-state", Conflict, "conflict", "Something was said about the alert already, or it is of the one who asks.";
    BreakGlassState = "break-glass-state", Conflict, "conflict", "The opening of the patient is not in a state that allows this.";
    QuarantineDecision = "quarantine-decision", Conflict, "conflict", "The decision does not fit what is wrong with the resource.";
    TokenBound = "token-bound", Unauthenticated, "login", "The token is bound to a client certificate that this connection was not made with, or that nobody vouches for any more.";
    LimitUrl = "limit-url", TooLarge, "too-costly", "The address of the request is longer than a named limit.";
    BodyCoding = "body-coding", Incorrect, "structure", "The body is not of the content coding that Content-Encoding names, or was cut short.";
    ProviderEnded = "provider-ended", Forbidden, "expired", "An operator set the identity provider, and nobody of the clinic kept it in time.";
    InvitationWaits = "invitation-waits", Forbidden, "forbidden", "An operator invited somebody to administer a clinic that has people: the link is good after a time in which these may say something about it.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_kebab_case() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let text = code.as_str();
            assert!(seen.insert(text), "{text} twice");
            assert!(
                text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{text}"
            );
        }
    }
}
