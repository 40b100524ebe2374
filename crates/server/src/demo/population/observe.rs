//! Observations and reports in a chart: vital signs, laboratory results, imaging.

use serde_json::{Value, json};

use super::body::{Illness, Vitals, vitals};
use super::calendar::Moment;
use super::chart::{Chart, Visit};
use super::labs::{Lab, Panel};
use super::write::{LOINC, SNOMED, concept, hl7, named_reference, quantity, reference, term};

/// Which vital signs are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measured {
    /// Height, weight, mass index and everything else.
    All,
    /// What is taken when somebody is ill.
    Ill,
    /// Blood pressure and pulse.
    Pressure,
}

impl Chart<'_> {
    fn observation(&self, visit: &Visit, category: &str, code: &Value, at: Moment) -> Value {
        json!({
            "status": "final",
            "category": [term("observation-category", category)],
            "code": code,
            "subject": self.subject(),
            "encounter": reference("Encounter", &visit.id),
            "effectiveDateTime": at.to_string()
        })
    }

    fn sign(&mut self, visit: &Visit, at: Moment, (loinc, text): (&str, &str), value: Value) {
        let mut sign = self.observation(visit, "vital-signs", &concept(LOINC, loinc, text), at);
        sign["valueQuantity"] = value;
        self.add("Observation", b'o', sign);
    }

    /// Takes vital signs.
    pub(super) fn measure(&mut self, visit: &Visit, at: Moment, which: Measured, ill: Illness) {
        let v = vitals(&mut self.chance, self.person, at.date(), ill);
        let age = at.date().age(self.person.birth);
        if which == Measured::All {
            self.size(visit, at, age, &v);
        }
        if age >= 3.0 {
            self.pressure(visit, at, &v);
        }
        self.sign(
            visit,
            at,
            ("8867-4", "Heart rate"),
            quantity(v.pulse_per_min, 0, "/min"),
        );
        if which != Measured::Pressure {
            self.sign(
                visit,
                at,
                ("8310-5", "Body temperature"),
                quantity(v.temperature_cel, 1, "Cel"),
            );
        }
        if which == Measured::Ill {
            self.sign(
                visit,
                at,
                ("9279-1", "Breathing rate"),
                quantity(v.breaths_per_min, 0, "/min"),
            );
            self.sign(
                visit,
                at,
                ("2708-6", "Oxygen saturation"),
                quantity(v.saturation_percent, 0, "%"),
            );
        }
    }

    fn size(&mut self, visit: &Visit, at: Moment, age: f64, v: &Vitals) {
        // The index is that of the height and weight as they are written.
        let (cm, kg) = (
            (v.height_cm * 10.0).round() / 10.0,
            (v.weight_kg * 10.0).round() / 10.0,
        );
        self.sign(visit, at, ("8302-2", "Body height"), quantity(cm, 1, "cm"));
        self.sign(visit, at, ("29463-7", "Body weight"), quantity(kg, 1, "kg"));
        if age >= 2.0 {
            let index = kg / (cm / 100.0) / (cm / 100.0);
            self.sign(
                visit,
                at,
                ("39156-5", "Body mass index"),
                quantity(index, 1, "kg/m2"),
            );
        } else {
            self.sign(
                visit,
                at,
                ("9843-4", "Head circumference"),
                quantity(v.head_cm, 1, "cm"),
            );
        }
    }

    fn pressure(&mut self, visit: &Visit, at: Moment, v: &Vitals) {
        let mut panel = self.observation(
            visit,
            "vital-signs",
            &concept(LOINC, "85354-9", "Blood pressure"),
            at,
        );
        let part = |loinc: &str, text: &str, value: f64| json!({"code": concept(LOINC, loinc, text), "valueQuantity": quantity(value, 0, "mm[Hg]")});
        panel["component"] = json!([
            part("8480-6", "Systolic blood pressure", v.systolic_mmhg),
            part("8462-4", "Diastolic blood pressure", v.diastolic_mmhg)
        ]);
        self.add("Observation", b'o', panel);
    }

    /// Notes how the patient smokes.
    pub(super) fn smoking_status(&mut self, visit: &Visit) {
        let (code, text) = self.smoking();
        let code_of = concept(LOINC, "72166-2", "Tobacco smoking");
        let mut status = self.observation(visit, "social-history", &code_of, visit.start.plus(4));
        status["valueCodeableConcept"] = concept(SNOMED, code, text);
        self.add("Observation", b'o', status);
    }

    /// A laboratory result; gives its id.
    pub(super) fn lab(&mut self, visit: &Visit, at: Moment, lab: &Lab) -> String {
        let mut result = self.observation(
            visit,
            "laboratory",
            &concept(LOINC, lab.loinc, lab.text),
            at,
        );
        result["issued"] = json!(at.plus(190).to_string());
        result["valueQuantity"] = quantity(lab.value, lab.decimals, lab.unit);
        result["interpretation"] = json!([{"coding": [{"system": hl7("v3-ObservationInterpretation"), "code": lab.interpretation()}]}]);
        let mut range = json!({});
        if let Some(low) = lab.low {
            range["low"] = quantity(low, lab.decimals, lab.unit);
        }
        if let Some(high) = lab.high {
            range["high"] = quantity(high, lab.decimals, lab.unit);
        }
        result["referenceRange"] = json!([range]);
        self.add("Observation", b'o', result)
    }

    /// Results that are reported together, with their DiagnosticReport.
    pub(super) fn panel(&mut self, visit: &Visit, at: Moment, panel: &Panel) {
        let results: Vec<Value> = panel
            .labs
            .iter()
            .map(|lab| self.lab(visit, at, lab))
            .map(|id| reference("Observation", &id))
            .collect();
        let mut report = self.report(visit, "LAB", &concept(LOINC, panel.loinc, panel.text), at);
        report["result"] = Value::from(results);
        self.add("DiagnosticReport", b'r', report);
    }

    /// A radiology report.
    pub(super) fn imaging(
        &mut self,
        visit: &Visit,
        at: Moment,
        (loinc, text, conclusion): (&str, &str, &str),
    ) {
        let mut report = self.report(visit, "RAD", &concept(LOINC, loinc, text), at);
        report["conclusion"] = json!(conclusion);
        self.add("DiagnosticReport", b'r', report);
    }

    fn report(&self, visit: &Visit, section: &str, code: &Value, at: Moment) -> Value {
        let clinic = self.house.clinic;
        json!({
            "status": "final",
            "category": [term("v2-0074", section)],
            "code": code,
            "subject": self.subject(),
            "encounter": reference("Encounter", &visit.id),
            "effectiveDateTime": at.to_string(),
            "issued": at.plus(200).to_string(),
            "performer": [named_reference("Organization", clinic.organization(), clinic.display)]
        })
    }
}
