//! One caller under one policy: what they are answered, and what that tells.

use serde_json::{Value, json};

use super::super::super::world::Answer;
use super::super::sorted;
use super::judge::Judge;
use super::naive::{self, Errand, Facts, Naive, chart, name};
use super::queries::Query;
use super::random::mark;
use super::text::{ELEMENTS, Said, members};

/// What a resource answers without what every version has anew.
fn plain(mut of: Value) -> Value {
    if let Some(meta) = of.get_mut("meta").and_then(Value::as_object_mut) {
        for own in ["versionId", "lastUpdated", "source"] {
            meta.remove(own);
        }
        if meta.is_empty() {
            of.as_object_mut().unwrap().remove("meta");
        }
    }
    of
}

/// A resource as it is shown where these elements are hidden.
fn hidden(of: &Value, elements: &naive::Hidden) -> Value {
    let mut shown = of.clone();
    if elements.is_empty() {
        return shown;
    }
    let all = shown.as_object_mut().unwrap();
    for element in elements {
        all.retain(|name, _| !members(element).contains(name.as_str()));
    }
    all.remove("text");
    let meta = all.entry("meta").or_insert_with(|| json!({}));
    meta["tag"] = json!([{ "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "code": "SUBSETTED", "display": "Resource encoded in summary mode" }]);
    shown
}

pub(super) fn same(a: &Value, b: &Value) -> bool {
    let without_display = |of: &Value| {
        let mut of = plain(of.clone());
        if let Some(tags) = of.pointer_mut("/meta/tag").and_then(Value::as_array_mut) {
            for tag in tags {
                tag.as_object_mut().unwrap().remove("display");
            }
        }
        of
    };
    without_display(a) == without_display(b)
}

/// One caller under one policy.
pub(super) struct Trial<'j> {
    pub(super) judge: &'j Judge,
    pub(super) naive: Naive<'j>,
    pub(super) told: String,
}

impl Trial<'_> {
    pub(super) fn ask(&self, line: &str) -> Answer {
        self.judge
            .ask(self.naive.caller, self.naive.facts, line, &Value::Null)
    }

    fn shown_as(&self, action: char, of: &Value, answer: &Value, line: &str) {
        let masks = self.naive.masks(action, of);
        let fits = masks.iter().any(|mask| same(&hidden(of, mask), answer));
        assert!(
            fits,
            "{line} shows {answer:#}\nof {of:#}\nbut for {masks:?}\n{}",
            self.told
        );
    }

    /// What single resources answer.
    pub(super) fn reads(&self) {
        for (of, body) in &self.judge.known {
            let line = format!("GET {of}");
            let answer = self.ask(&line);
            let type_name = body["resourceType"].as_str().unwrap();
            let wanted = match (
                self.naive.opens('r', type_name),
                self.naive.reaches('r', body),
            ) {
                (false, _) => 403,
                (_, false) => 404,
                (_, true) => 200,
            };
            assert_eq!(
                answer.code, wanted,
                "{line} {answer:?}\n{body:#}\n{}",
                self.told
            );
            if wanted == 200 {
                self.shown_as('r', body, &answer.json(), &line);
            }
            let history = self.ask(&format!("GET {of}/_history"));
            let wanted = match (
                self.naive.opens('s', type_name),
                self.naive.reaches('s', body),
            ) {
                (false, _) => 403,
                (_, false) => 404,
                (_, true) => 200,
            };
            assert_eq!(
                history.code, wanted,
                "{line}/_history {history:?}\n{}",
                self.told
            );
        }
    }

    /// What a search finds: those of a type that the caller sees and that fit, in their charts only.
    pub(super) fn searches(&self, queries: &[Query]) {
        for query in queries {
            let line = format!("GET {}", query.text);
            let answer = self.ask(&line);
            let closed = query.types.iter().any(|of| !self.naive.opens('s', of));
            let looks = query.looks.iter().any(|(of, param)| {
                let hidden = self.naive.hides(self.naive.sight(of), of);
                let on = |e: &&(&str, &str, &[&str])| e.0 == *of && e.2.contains(param);
                ELEMENTS.iter().filter(on).any(|e| hidden.contains(e.1))
            });
            if closed || looks {
                assert_eq!(answer.code, 403, "{line} {answer:?}\n{}", self.told);
                continue;
            }
            assert_eq!(answer.code, 200, "{line} {answer:?}\n{}", self.told);
            let of = query.types[0];
            let sees = |r: &&Value| self.naive.reaches('s', r);
            let all = self
                .judge
                .known
                .values()
                .filter(|r| r["resourceType"] == of);
            let fit = all.filter(sees).filter(|r| (query.fits)(self, r));
            let fit: Vec<&Value> = fit.collect();
            let mut wanted: Vec<String> = fit.iter().map(|r| name(r)).collect();
            let json = answer.json();
            let entries = json["entry"].as_array().cloned().unwrap_or_default();
            for entry in &entries {
                let shown = &entry["resource"];
                let known = &self.judge.known[&name(shown)];
                let of = known["resourceType"].as_str().unwrap();
                self.shown_as(self.naive.sight(of), known, shown, &line);
            }
            let matches = entries.iter().filter(|e| e["search"]["mode"] == "match");
            let found: Vec<String> = matches.map(|e| name(&e["resource"])).collect();
            wanted.sort();
            assert_eq!(sorted(found), wanted, "{line}\n{}", self.told);
            assert_eq!(json["total"], wanted.len(), "{line}\n{}", self.told);
            let included = entries.iter().filter(|e| e["search"]["mode"] == "include");
            let included: Vec<String> = included.map(|e| name(&e["resource"])).collect();
            let mut more: Vec<String> =
                fit.iter().flat_map(|r| (query.includes)(self, r)).collect();
            more.sort();
            more.dedup();
            assert_eq!(sorted(included), more, "{line}\n{}", self.told);
        }
    }

    /// What is shown of many patients at once, and what operations show that grants name.
    pub(super) fn operates(&self) {
        let looks = |naive: &Naive<'_>, of: &'static str, elements: &[&str]| {
            let hides = naive.hides(naive.sight(of), of);
            elements.iter().any(|e| hides.contains(e))
        };
        let bulk = self.naive.on(Errand::Bulk);
        for (of, by) in [
            ("Patient", &[] as &[&str]),
            ("Observation", &["subject", "performer"]),
            ("Encounter", &["subject"]),
        ] {
            let sight = bulk.sight("Patient");
            // In charts of patients in sight.
            let all = |r: &Value| {
                let patient = chart(r).flatten().and_then(|p| self.judge.known.get(&p));
                r["resourceType"] == of
                    && (of == "Patient" || patient.is_some_and(|p| bulk.reaches(sight, p)))
            };
            let line = format!("GET Patient/$everything?_count=100&_type={of}");
            let may = !self.naive.refuses('e')
                && bulk.exports()
                && bulk.opens(sight, "Patient")
                && !looks(&bulk, of, by);
            self.shows((&line, &bulk, of), may, all);
        }
        let (patient, last) = ("Patient/p1", self.naive.on(Errand::LastN));
        let codes = "urn:c%7Cx,urn:c%7Cy,urn:c%7Cz";
        let line = format!("GET Observation/$lastn?max=100&subject={patient}&code={codes}");
        let theirs = |r: &Value| {
            r["resourceType"] == "Observation" && chart(r) == Some(Some(patient.to_owned()))
        };
        let hidden = looks(&last, "Observation", &["subject", "effective[x]"]);
        let may = !self.naive.refuses('l') && !hidden;
        self.shows((&line, &last, "Observation"), may, theirs);
        let everything = self.naive.on(Errand::Everything);
        let known = &self.judge.known[patient];
        let line = format!("GET {patient}/$everything?_count=100&_type=Observation");
        if everything.opens('r', "Patient") && !everything.reaches('r', known) {
            let answer = self.ask(&line);
            let wanted = if self.naive.refuses('e') { 403 } else { 404 };
            assert_eq!(answer.code, wanted, "{line} {answer:?}\n{}", self.told);
            return;
        }
        let may = !self.naive.refuses('e')
            && everything.opens('r', "Patient")
            && !looks(&everything, "Observation", &["subject", "performer"]);
        self.shows((&line, &everything, "Observation"), may, theirs);
    }

    /// What an operation finds of a type: those that fit and that the caller sees on that errand.
    fn shows(
        &self,
        (line, naive, of): (&str, &Naive<'_>, &'static str),
        may: bool,
        fits: impl Fn(&Value) -> bool,
    ) {
        let answer = self.ask(line);
        let known = self.judge.known.values();
        if !may || !naive.opens('s', of) {
            assert_eq!(answer.code, 403, "{line} {answer:?}\n{}", self.told);
            return;
        }
        assert_eq!(answer.code, 200, "{line} {answer:?}\n{}", self.told);
        let mut wanted: Vec<String> = known
            .filter(|r| fits(r) && naive.reaches('s', r))
            .map(name)
            .collect();
        wanted.sort();
        let entries = answer.json()["entry"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = entries.iter().map(|e| name(&e["resource"])).collect();
        assert_eq!(sorted(found), wanted, "{line}\n{}", self.told);
        for entry in &entries {
            let (shown, known) = (
                &entry["resource"],
                &self.judge.known[&name(&entry["resource"])],
            );
            let masks = naive.masks('s', known);
            let fits = masks.iter().any(|mask| same(&hidden(known, mask), shown));
            assert!(
                fits,
                "{line} shows {shown:#}\nof {known:#}\nbut for {masks:?}\n{}",
                self.told
            );
        }
    }

    /// Whether a search shows a resource as one that is included.
    pub(super) fn sees(&self, of: &str) -> bool {
        let known = self.judge.known.get(of);
        known.is_some_and(|r| {
            let type_name = r["resourceType"].as_str().unwrap();
            self.naive.reaches(self.naive.sight(type_name), r)
        })
    }

    /// No road tells what is hidden, or out of reach.
    pub(super) fn tells_nothing_else(&self) {
        let graphql = "$graphql?query=%7BPatientList%7Bid%20text%7Bdiv%7D%20name%7Bgiven%7D%20telecom%7Bvalue%7D\
            identifier%7Bassigner%7Bdisplay%7D%7DmanagingOrganization%7Bdisplay%7D\
            generalPractitioner%7Bdisplay%20resource%7B...on%20Practitioner%7Bname%7Bgiven%7D%7D%7D%7D%7D\
            ObservationList%7Bnote%7Btext%7DvalueString%20performer%7Bdisplay%7Dsubject%7Bdisplay%20\
            resource%7B...on%20Patient%7Bname%7Bgiven%7D%7D%7D%7D%7D%7D";
        for line in [
            "Patient/$everything",
            "Patient?_elements=telecom,name",
            "Patient?_format=xml",
            "Patient?_revinclude=*&_include=*&_include:iterate=*",
            "Observation?_include=*&_include:iterate=*&_revinclude:iterate=*",
            "Encounter?_include=Encounter:subject&_include:iterate=Patient:organization",
            "Patient?_summary=data",
            "?_type=Patient,Observation",
            "_history",
            "Patient/_history",
            "Patient/p1/_history",
            "Patient/p1/$everything",
            "Patient/p2/$everything",
            "Patient/p1/Observation",
            "Patient/p0/*",
            "Observation/$lastn?max=1&patient=Patient/p1",
            graphql,
        ] {
            let answer = self.ask(&format!("GET {line}"));
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            for body in self.judge.known.values() {
                self.keeps(body, &text, line);
            }
        }
    }

    fn keeps(&self, body: &Value, text: &str, line: &str) {
        let of = name(body);
        let type_name = body["resourceType"].as_str().unwrap();
        let named = ELEMENTS.iter().filter(|e| e.0 == type_name).map(|e| e.1);
        for element in named.chain(["text"]) {
            if !text.contains(&mark(&of, element)) {
                continue;
            }
            let shows = |errand: Errand| {
                let naive = self.naive.on(errand);
                let whole = |mask: &naive::Hidden| match element {
                    "text" => mask.is_empty(),
                    _ => !mask.contains(element),
                };
                let shows = |action: char| {
                    naive.reaches(action, body) && naive.masks(action, body).iter().any(whole)
                };
                shows('r') || shows('s')
            };
            let own = match line {
                "Patient/$everything" => Errand::Bulk,
                _ if line.contains("$everything") => Errand::Everything,
                _ if line.contains("$lastn") => Errand::LastN,
                _ => Errand::Plain,
            };
            assert!(
                shows(own),
                "{line} tells of {element} of {of}: {text}\n{body:#}\n{}",
                self.told
            );
        }
    }
}

impl Judge {
    pub(super) fn trial<'j>(&'j self, said: &'j Said, at: usize, facts: Facts) -> Trial<'j> {
        let caller = &self.callers[at];
        let naive = Naive {
            known: &self.known,
            policy: said,
            caller,
            facts,
            errand: Errand::Plain,
        };
        let told = format!(
            "{facts:?} {:?} {:?} {:?}\n{:#}",
            caller.roles,
            caller.user,
            (&caller.person, &caller.client),
            said.document()
        );
        Trial {
            judge: self,
            naive,
            told,
        }
    }
}
