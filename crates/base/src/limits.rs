//! Every limit of the house, by name. A refusal names the limit it met.

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident = $default:expr;)+) => {
        /// All limits; each is a key of `[limits]` in the configuration.
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Name, default and description of every limit, for the generated documentation.
            pub const TABLE: &'static [(&'static str, u64, &'static str)] =
                &[$((stringify!($name), $default, concat!($($doc),+)),)+];

            /// Name and value of every limit.
            pub fn values(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }
        }
    };
}

limits! {
    /// Bytes of a request body that is one resource.
    body_bytes_max = 16 << 20;
    /// Bytes of a request body that is a Bundle.
    bundle_bytes_max = 64 << 20;
    /// Bytes of a Binary uploaded with its own content type.
    binary_bytes_max = 256 << 20;
    /// Bytes of request bodies held in memory at once, over all tenants. One tenant never gets more
    /// than is left for the others.
    body_bytes_at_once_max = 512 << 20;
    /// Bytes of request bodies of one tenant held in memory at once.
    tenant_body_bytes_at_once_max = 128 << 20;
    /// Bytes of request bodies of callers who are not recognised yet, held in memory at once; one
    /// address never gets more than is left for the others.
    open_body_bytes_at_once_max = 16 << 20;
    /// Bytes of request bodies of callers at one address who are not recognised yet, held in memory
    /// at once.
    address_body_bytes_at_once_max = 1 << 20;
    /// Bytes of answers held in memory at once until clients have taken them, over all tenants. One
    /// tenant never gets more than is left for the others.
    answer_bytes_at_once_max = 1 << 30;
    /// Bytes of answers of one tenant held in memory at once until its clients have taken them.
    tenant_answer_bytes_at_once_max = 384 << 20;
    /// Times its size on the wire that a compressed request body may come to; what comes to a
    /// megabyte or less is not measured.
    decompression_ratio_max = 200;
    /// Nesting of JSON objects and arrays.
    json_depth_max = 64;
    /// Nesting of XML elements, those of narratives included.
    xml_depth_max = 256;
    /// Attributes of one XML element, and XML namespaces declared at one place.
    xml_attributes_max = 64;
    /// Issues that one OperationOutcome lists; further ones are counted, not listed.
    outcome_issues_max = 100;
    /// Entries of a batch or transaction Bundle.
    bundle_entries_max = 20_000;
    /// Steps that the FHIRPath expressions of one patch may take.
    patch_steps_max = 1_000_000;
    /// Operations of one patch.
    patch_operations_max = 500;
    /// Resources on one page of a search or history.
    page_entries_max = 1_000;
    /// Resources on one page when the client does not say.
    page_entries_default = 50;
    /// Bytes of the resources on one page; a single resource is never too large for a page.
    page_bytes_max = 128 << 20;
    /// Resources that `_include` and `_revinclude` may add to one page.
    included_entries_max = 5_000;
    /// Rounds of `:iterate`.
    include_rounds_max = 5;
    /// Hops of a chained search (`a.b.c=`), and of nested `_has`.
    chain_depth_max = 5;
    /// Bytes of a query string or a form body of `_search`.
    query_bytes_max = 64 << 10;
    /// Parameters of one search.
    query_parameters_max = 200;
    /// Comma-separated values of one parameter.
    query_values_max = 1_000;
    /// Conditions that the parameters of one search may come to; chains through references to many
    /// types multiply.
    query_clauses_max = 2_000;
    /// Search parameters of its own that a tenant may have, each counted once for every type that its
    /// definition is for.
    search_parameters_custom_max = 200;
    /// Codes that a value set in a search (`:in`, `:above` …) may come to.
    value_set_codes_max = 5_000;
    /// Resources of one hierarchy that `:above` and `:below` on references go through.
    search_hierarchy_max = 1_000;
    /// Different positions that one `near` compares.
    search_positions_max = 20_000;
    /// Different profiles, tags or security labels that one `$meta` lists.
    meta_values_max = 1_000;
    /// Observations that one `$lastn` looks through, and patients of a Group whose `$everything` is
    /// asked for.
    operation_resources_max = 20_000;
    /// Nesting of a `$graphql` document, fragments and references that are followed included.
    graphql_depth_max = 32;
    /// Fields that a `$graphql` document comes to over everything it selects from.
    graphql_fields_max = 200_000;
    /// Resources that one `$graphql` may read.
    graphql_resources_max = 5_000;
    /// Milliseconds that one search may take.
    search_ms_max = 30_000;
    /// Milliseconds after which a page of a search of the audit trail ends, however many events it has;
    /// its next link goes on.
    trail_ms_max = 3_000;
    /// Records and versions of a tenant that the index of its audit trail may lack: once there are more, they
    /// are added in the background; 0: no index is made.
    trail_index_lag_max = 1_000;
    /// Patients of a tenant whom the watch over the trails looks at in one turn; then others have theirs.
    watch_patients_max = 500;
    /// Bytes of one message to a syslog receiver; an event that is longer is sent with fewer entities.
    syslog_bytes_max = 8_000;
    /// Bytes of the journal that wait at most for somebody to whom audit trails are shipped: beyond it,
    /// retention no longer waits for them; 0: for ever.
    ship_backlog_bytes_max = 16 << 30;
    /// Tenants whose webhooks are called at once, to tell of alerts.
    tenants_told_at_once_max = 8;
    /// Virtual-machine steps of the storage engine that one search may take, in thousands.
    search_kilosteps_max = 2_000_000;
    /// Steps that one `$fhirpath` may take, each about the work of looking at one element.
    fhirpath_steps_max = 1_000_000;
    /// Resources that `resolve()` may read for one `$fhirpath`.
    fhirpath_references_max = 100;
    /// Milliseconds from the first byte of a request to its last; of a Binary with its own content
    /// type, of each 768 KiB.
    request_ms_max = 60_000;
    /// Bytes of all request headers together.
    header_bytes_max = 32 << 10;
    /// Bytes of the address of a request, path and query together; more than 65,534 are never taken. What
    /// is longer can be asked with `POST _search`.
    url_bytes_max = 32 << 10;
    /// Open connections from clients.
    connections_max = 10_000;
    /// Open connections from one address (of IPv6: one network of 64 bits). Not counted for
    /// `trusted_proxies`, and for nobody with `behind_tls_proxy`.
    connections_per_address_max = 1_000;
    /// Milliseconds that a connection may be open without a request.
    connection_idle_ms_max = 120_000;
    /// Milliseconds that a client may take nothing of an answer before its connection is ended.
    answer_stall_ms_max = 30_000;
    /// Tenants that are open at once; 0 derives it from the file limit of the process.
    open_tenants_max = 0;
    /// Seconds after which an unused tenant is closed.
    tenant_idle_seconds = 300;
    /// Reads and searches of one tenant that may wait for a reader.
    reader_queue_max = 1_024;
    /// Writes of one tenant that may wait for the writer.
    writer_queue_max = 4_096;
    /// Bytes of resources that one group commit may hold.
    group_bytes_max = 32 << 20;
    /// Writes that one group commit may hold.
    group_members_max = 512;
    /// Bytes of a tenant's write-ahead log from which on its writer waits until the log is moved into
    /// the database; its file is cut to this then. The longer it is, the seldomer the same page of a large
    /// store is moved, and the longer a start after a crash takes. Only a read that is still going on lets
    /// it grow further.
    log_bytes_max = 512 << 20;
    /// Bytes of decompressed resource bodies kept in memory, over all tenants.
    body_cache_bytes_max = 256 << 20;
    /// Bytes, for each open tenant, of what is remembered of which resources policies reach.
    reach_bytes_max = 4 << 20;
    /// Bytes, for each tenant, of what its policy gives to callers that is remembered; what was made first is
    /// made anew when it is asked for.
    rights_bytes_max = 128 << 20;
    /// Bytes of one segment of the journal. One more is always kept ready: the reserve on which
    /// reads go on when the disk is full.
    journal_segment_bytes = 8 << 20;
    /// Bytes of database pages kept in memory, over all tenants; 0 takes an eighth of the memory that the
    /// process may have. Writing to a large store is the faster the more of its index is in memory.
    page_cache_bytes_max = 0;
    /// Seconds that a paging cursor stays good.
    cursor_ttl_seconds = 600;
    /// Verified tokens kept in memory.
    token_cache_entries_max = 100_000;
    /// API clients of one tenant, revoked ones and ways in for bulk loading among them.
    clients_max = 10_000;
    /// Signed assertions (`private_key_jwt`) of one client that may be used within seven minutes.
    assertions_per_client_max = 10_000;
    /// People of one tenant, disabled ones among them.
    people_max = 10_000;
    /// Sessions of browsers of one tenant that are kept at once.
    sessions_max = 100_000;
    /// Sessions of one person's browsers; the oldest ends when there would be more.
    sessions_per_person_max = 20;
    /// Approvals of one tenant that are kept at once.
    approvals_max = 200_000;
    /// Approvals of one person; the oldest ends when there would be more.
    approvals_per_person_max = 200;
    /// Access tokens of one tenant that were taken back and would not have ended yet.
    ended_tokens_max = 100_000;
    /// Passkeys of one person.
    passkeys_per_person_max = 20;
    /// Seconds that somebody has to answer when they are asked for a passkey.
    passkey_seconds_max = 300;
    /// Access tokens of one client that were taken back and would not have ended yet.
    ended_tokens_per_client_max = 5_000;
    /// Programs of one tenant that wait for approval after they asked to be registered: of those that were
    /// invited, and of the others, each.
    registrations_max = 100;
    /// Of those that were not invited, from one network: an address, or a /64 of IPv6.
    registrations_per_network_max = 5;
    /// Requests for registration a minute from one address at one tenant before it is answered 429.
    registrations_per_minute_max = 10;
    /// Seconds for which such a program waits, and for which an initial access token is good.
    registration_seconds_max = 1_209_600;
    /// Seconds for which an API client that an operator makes is good, where nothing is said and nobody of the
    /// tenant keeps it.
    operator_client_seconds = 604_800;
    /// The same at most, whatever is said.
    operator_client_seconds_max = 2_592_000;
    /// Seconds for which an identity provider that an operator sets lets people in, where nobody of the tenant
    /// keeps it.
    operator_provider_seconds = 604_800;
    /// Seconds after which an operator's invitation to administer a clinic that has people of its own is good.
    operator_invitation_seconds_min = 259_200;
    /// Seconds for which a proof by two factors lets a person do what policy asks it for.
    step_up_seconds_max = 900;
    /// Seconds after which a session ends, however much it is used.
    session_seconds_max = 43_200;
    /// Seconds without use after which a session ends.
    session_idle_seconds_max = 3_600;
    /// Seconds for which an authorization code can be exchanged.
    code_seconds_max = 60;
    /// Seconds after which an approval for access while the person is away ends.
    approval_seconds_max = 7_776_000;
    /// Seconds for which an invitation, and the link that sets another password, is good.
    invitation_seconds_max = 604_800;
    /// Seconds for which the context of a launch from within a record is good.
    launch_seconds_max = 300;
    /// Passwords that are checked at once, over all tenants, who take turns.
    passwords_at_once_max = 2;
    /// Passwords of one tenant that wait to be checked.
    passwords_waiting_max = 64;
    /// KiB of memory that checking one password takes (argon2id).
    password_memory_kib = 19_456;
    /// Passes over that memory (argon2id).
    password_passes = 2;
    /// Characters that a password has at least.
    password_characters_min = 12;
    /// Wrong passwords for one person from one address before this address has to wait.
    wrong_passwords_max = 5;
    /// Wrong one-time codes for one person in an hour, from wherever they come, before only recovery codes
    /// are taken.
    wrong_codes_max = 30;
    /// Milliseconds by which a sign-in is slowed down at most, when passwords of one person are guessed
    /// at from many addresses.
    sign_in_delay_ms_max = 2_000;
    /// Failed sign-ins a minute from one address at one tenant before it is answered 429.
    failed_logins_per_minute_max = 60;
    /// Requests a second of one tenant's callers together, over all interactions; 0 for no limit. As many
    /// may come at once.
    tenant_requests_per_second_max = 100_000;
    /// Requests a second of one API client or program; 0 for no limit. As many may come at once.
    client_requests_per_second_max = 50_000;
    /// Requests a second of one person, through all programs and browsers together; 0 for no limit. As many
    /// may come at once.
    person_requests_per_second_max = 1_000;
    /// Requests a second of the operator; 0 for no limit. As many may come at once.
    operator_requests_per_second_max = 1_000;
    /// Callers whose requests are counted at once, over all tenants; those who have been quiet long enough
    /// to have their whole allowance again are forgotten.
    rate_keys_max = 200_000;
    /// Vendor grants of one tenant.
    vendors_max = 1_000;
    /// What was done to the vendor grants of one tenant and is kept. Past it, nobody but the clinic lifts or
    /// proposes anything; switching off is never held up.
    vendor_events_max = 10_000;
    /// Program links of one tenant.
    program_links_max = 200;
    /// Requests to addresses outside that are under way at once, over all tenants.
    outbound_at_once_max = 32;
    /// Requests to addresses outside that are under way at once for one tenant; further ones wait.
    tenant_outbound_at_once_max = 4;
    /// Milliseconds that one request to an address outside may take, waiting for its turn included.
    outbound_ms_max = 5_000;
    /// Bytes of an answer from an address outside.
    outbound_bytes_max = 256 << 10;
    /// Seconds for which keys, and the description of an identity provider, are believed after they
    /// were fetched; less where their `Cache-Control` says so.
    keys_seconds_max = 600;
    /// Seconds between two looks at one address for a key that was not found there.
    keys_again_seconds_min = 30;
    /// Identity providers of one tenant.
    identity_providers_max = 20;
    /// Tenants that are opened for somebody who wants to choose among those where they are known.
    clinics_chosen_among_max = 500;
    /// Seconds that somebody has to sign in at an identity provider.
    provider_sign_in_seconds_max = 600;
    /// Rows a second that the background check of seals and index rows looks at, over all tenants.
    scrub_rows_per_second = 2_000;
    /// Seconds from the end of a tenant's background check to the beginning of the next; 0 for none but
    /// those that are asked for.
    scrub_interval_seconds = 604_800;
    /// Seconds for which a patient is opened by break-glass, where the policy says nothing else.
    break_glass_seconds = 3_600;
    /// Seconds that a policy may say.
    break_glass_seconds_max = 14_400;
    /// Seconds after the end of an opening within which it should be reviewed.
    break_glass_review_seconds = 259_200;
    /// Patients whom one person may have opened at once.
    openings_per_person_max = 10;
    /// Rows of one tenant that are in quarantine at once; what is found past it is counted and logged.
    quarantine_entries_max = 10_000;
}

impl Limits {
    /// Limits of what every request, or nearly every one, needs some of: with 0 the house would serve nothing.
    pub const NEEDED: &'static [&'static str] = &[
        "body_bytes_max",
        "bundle_bytes_max",
        "binary_bytes_max",
        "body_bytes_at_once_max",
        "tenant_body_bytes_at_once_max",
        "open_body_bytes_at_once_max",
        "address_body_bytes_at_once_max",
        "answer_bytes_at_once_max",
        "tenant_answer_bytes_at_once_max",
        "decompression_ratio_max",
        "json_depth_max",
        "xml_depth_max",
        "outcome_issues_max",
        "bundle_entries_max",
        "page_entries_max",
        "page_entries_default",
        "page_bytes_max",
        "query_bytes_max",
        "query_parameters_max",
        "query_values_max",
        "query_clauses_max",
        "search_ms_max",
        "trail_ms_max",
        "search_kilosteps_max",
        "request_ms_max",
        "header_bytes_max",
        "url_bytes_max",
        "connections_max",
        "connections_per_address_max",
        "connection_idle_ms_max",
        "answer_stall_ms_max",
        "reader_queue_max",
        "writer_queue_max",
        "group_bytes_max",
        "group_members_max",
        "log_bytes_max",
        "journal_segment_bytes",
        "cursor_ttl_seconds",
        "clients_max",
        "people_max",
        "sessions_max",
        "sessions_per_person_max",
        "session_seconds_max",
        "session_idle_seconds_max",
        "code_seconds_max",
        "passwords_at_once_max",
        "passwords_waiting_max",
        "password_memory_kib",
        "password_passes",
        "failed_logins_per_minute_max",
        "rate_keys_max",
        "outbound_at_once_max",
        "tenant_outbound_at_once_max",
        "outbound_ms_max",
        "outbound_bytes_max",
        "scrub_rows_per_second",
    ];
}

/// Limits that no configuration changes: they keep the process standing, whatever is asked of it.
pub mod fixed {
    /// Bytes on the disk of a data folder that are kept for reading: on a full disk they are given up for it, and
    /// nothing is written until there is room for them again.
    pub const DISK_RESERVE_BYTES: usize = 1 << 20;
    /// Parts that a FHIRPath expression may have.
    pub const FHIRPATH_PARTS_MAX: usize = 1_024;
    /// Nesting of a FHIRPath expression's brackets and operators.
    pub const FHIRPATH_BRACKETS_MAX: usize = 64;
    /// Nesting of a compiled FHIRPath expression; evaluating recurses as deeply.
    pub const FHIRPATH_DEPTH_MAX: usize = 200;
    /// Elements that one FHIRPath expression makes (`%factory`, `%terminologies`).
    pub const FHIRPATH_MADE_MAX: usize = 1_000;
    /// Bytes of what such elements are made of, together.
    pub const FHIRPATH_MADE_BYTES_MAX: usize = 4 << 20;
    /// Content codings of one request body, on top of each other.
    pub const CONTENT_CODINGS_MAX: usize = 3;
    /// Addresses of credentials that are good for nobody which one tenant's trail tells apart in a quarter of
    /// an hour; those of further ones are counted together.
    pub const UNKNOWN_ADDRESSES_MAX: usize = 1_000;
    /// The same of all tenants of a house together: further ones are counted together, each with those of its
    /// own tenant.
    pub const UNKNOWN_ADDRESSES_HOUSE_MAX: usize = 50_000;
    /// Patients whom the record of a write that was refused names.
    pub const REFUSED_PATIENTS_MAX: usize = 50;
    /// References of a List that a history is narrowed to.
    pub const HISTORY_LISTED_MAX: usize = 10_000;
    /// Keys that one search is sorted by.
    pub const SORT_KEYS_MAX: usize = 16;
    /// Versions that one `If-Match` names.
    pub const IF_MATCH_VERSIONS_MAX: usize = 8;
    /// Variables that one `$fhirpath` brings.
    pub const FHIRPATH_VARIABLES_MAX: usize = 100;
    /// How deeply the making of such elements nests.
    pub const FHIRPATH_MADE_ROUNDS_MAX: usize = 32;
    /// Expressions that compiling one FHIRPath expression may come to: some are compiled more than
    /// once.
    pub const FHIRPATH_COMPILED_MAX: usize = 50_000;
    /// Steps that a tenant's own search parameters may take on one resource; past it they have no
    /// more values there.
    pub const SEARCH_PARAMETER_STEPS_MAX: u64 = 1_000_000;
    /// Index rows that are looked at to find what the entries of one transaction mean among what it writes
    /// itself.
    pub const TRANSACTION_STEPS_MAX: u64 = 100_000_000;
    /// What the store is asked about that.
    pub const TRANSACTION_QUESTIONS_MAX: usize = 2_000;
    /// Bytes of the words of one resource's texts that `_content` and `_text` search; what is behind them
    /// is not found.
    pub const SEARCH_TEXT_BYTES_MAX: usize = 64 << 10;
    /// Points of the boundary of one place (GeoJSON) that is searched by what it contains; one with more
    /// is not found.
    pub const BOUNDARY_POINTS_MAX: usize = 20_000;
    /// Fields of the schema that one `$graphql` may select: four times what introspection of a whole
    /// version comes to.
    pub const GRAPHQL_SCHEMA_FIELDS_MAX: u64 = 4_000_000;
    /// Patients whom one search, or one operation, is recorded to have asked about by name.
    pub const SEARCHED_PATIENTS_MAX: usize = 100;
    /// Days and types that the activity report of one vendor tells apart, and patients that one report
    /// does.
    pub const ACTIVITY_LINES_MAX: usize = 200_000;
    /// Records and changes of a trail that one report of accesses, or of one vendor's activity, looks at; it
    /// says `more` past it.
    pub const REPORT_RECORDS_MAX: u64 = 10_000_000;
    /// Networks, facilities, certificates, types and purposes of one vendor grant, each.
    pub const VENDOR_LIST_MAX: usize = 200;
    /// Patients whose consents may refuse something to one caller; with more, the charts of all patients who
    /// have a consent are refused.
    pub const CONSENT_PATIENTS_MAX: usize = 2_000;
    /// Patients whose charts one caller reaches because their consents permit it, and as many by their care teams:
    /// by their ids; the charts of those past that stay closed.
    pub const CHARTS_OPENED_MAX: usize = 10_000;
    /// Conditions and values of consents for one caller, over all types; with more, the same.
    pub const CONSENT_CLAUSES_IN_ALL_MAX: usize = 200_000;
    /// Consents that refuse one caller some resources of a type; with more, the same.
    pub const CONSENT_RULES_MAX: usize = 200;
    /// Conditions and values that one consent may come to for an action on a type; with more, it refuses
    /// everything of the chart.
    pub const CONSENT_CLAUSES_MAX: usize = 10_000;
    /// Resources that refer to what one write changes, and are asked one by one whether that opens them to
    /// whoever writes it.
    pub const EVIDENCE_ROWS_MAX: usize = 1_000;
    /// Resources that one write names, and are asked so: a write that names more, and of which a condition of
    /// its caller's rules is, is refused.
    pub const EVIDENCE_NAMED_MAX: usize = 20_000;
    /// Grants of one policy.
    pub const POLICY_GRANTS_MAX: u64 = 500;
    /// Bytes of a policy's document.
    pub const POLICY_BYTES_MAX: usize = 1 << 20;
    /// Conditions, values and elements that a policy comes to over all types, with one value for each
    /// variable.
    pub const POLICY_CLAUSES_MAX: usize = 1_000_000;
    /// Conditions, values and elements that a policy comes to for one caller; grants past it give nothing,
    /// and refusals past it refuse everything of their types.
    pub const RIGHTS_CLAUSES_MAX: usize = 200_000;
    /// Policies of another platform in one import.
    pub const POLICY_IMPORT_DOCUMENTS_MAX: usize = 500;
    /// Values (members, items) of one policy of another platform.
    pub const POLICY_IMPORT_VALUES_MAX: usize = 5_000;
    /// Values in one import.
    pub const POLICY_IMPORT_VALUES_IN_ALL_MAX: usize = 100_000;
    /// Bytes of the texts of one policy of another platform.
    pub const POLICY_IMPORT_BYTES_MAX: usize = 256 << 10;
    /// Bytes of the name of a member in it, of its own name and id.
    pub const POLICY_IMPORT_NAME_BYTES_MAX: usize = 255;
    /// Nesting of such a policy.
    pub const POLICY_IMPORT_DEPTH_MAX: usize = 32;
    /// Comparisons (of addresses with patterns, of grants with types) in one import.
    pub const POLICY_IMPORT_STEPS_MAX: u64 = 100_000_000;
    /// Alternatives (of conditions, links, entries) in one import.
    pub const POLICY_IMPORT_WAYS_MAX: usize = 2000;
    /// Bytes of the name of an XML namespace.
    pub const XML_NAMESPACE_BYTES_MAX: usize = 256;
    /// Nesting of a document that an XML Patch makes.
    pub const XML_PATCH_DEPTH_MAX: usize = 200;
    /// Bytes of a FHIRPath expression.
    pub const FHIRPATH_EXPRESSION_BYTES_MAX: usize = 16 << 10;
    /// Bytes of a text that a FHIRPath expression puts together.
    pub const FHIRPATH_TEXT_BYTES_MAX: usize = 1 << 20;
    /// Bytes of a compiled regular expression.
    pub const FHIRPATH_PATTERN_BYTES_MAX: usize = 1 << 20;
    /// Bytes of a UCUM code; a longer one is no unit.
    pub const UCUM_CODE_BYTES_MAX: usize = 256;
    /// Documents from outside (keys, descriptions of identity providers) that the process remembers.
    pub const DOCUMENTS_KEPT_MAX: usize = 1_024;
    /// Those whose assertions, or whose answers with passkeys, are remembered at once so that none is taken
    /// twice; others wait until those are forgotten.
    pub const REPLAYERS_MAX: usize = 200_000;
    /// The same, of one tenant.
    pub const REPLAYERS_PER_TENANT_MAX: usize = 50_000;
    /// Parameters of one authorization request.
    pub const AUTHORIZE_PARAMETERS_MAX: usize = 64;
    /// Bytes of what a browser keeps while its person is at an identity provider.
    pub const JOURNEY_BYTES_MAX: usize = 3_900;
    /// Operators with names of their own.
    pub const OPERATORS_MAX: usize = 200;
    /// UCUM codes whose meaning the process remembers.
    pub const UCUM_CACHE_ENTRIES_MAX: usize = 8_192;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_limit_once() {
        let json = serde_json::to_value(Limits::default()).unwrap();
        assert_eq!(json.as_object().unwrap().len(), Limits::TABLE.len());
    }
}
