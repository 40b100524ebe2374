//! What a tenant's index rows are coded with: numbers for systems, and which parameters the index
//! itself looks at.

use std::collections::HashMap;

use fhir::definitions::{FhirVersion, Model, ParamId, PerVersion, TypeId};
use parking_lot::RwLock;
use rusqlite::{Connection, OptionalExtension};

/// Systems remembered per open tenant.
const CACHE_ENTRIES_MAX: usize = 4_096;
/// Systems read when a tenant is opened.
const READ_FIRST: i64 = 1_024;
/// Longer systems are looked up each time.
const CACHE_TEXT_BYTES_MAX: usize = 256;

/// The date-like parameter of a type that stands in `ix_compartment`: the first that it has.
const DATES: &[&str] = &[
    "date",
    "authoredon",
    "authored",
    "onset-date",
    "recorded-date",
    "created",
    "started",
    "issued",
    "occurrence",
    "period",
    "start-date",
    "effective-time",
    "whenhandedover",
    "whenprepared",
    "sent",
    "received",
    "collected",
    "modified",
];
/// The parameters that may name the patient.
const PATIENTS: &[&str] = &["patient", "subject"];

/// Parameters that the index writes or reads by itself, for each type.
#[derive(Debug)]
pub(crate) struct Shape {
    by_type: Vec<TypeShape>,
    patient: Option<TypeId>,
}

/// [`Shape`] of one type.
#[derive(Clone, Debug, Default)]
pub(crate) struct TypeShape {
    /// `_lastUpdated`
    pub(crate) updated: Option<ParamId>,
    /// `patient` and `subject`, as far as they may refer to a Patient.
    pub(crate) patients: Vec<ParamId>,
    /// The date that stands in `ix_compartment`; only with a patient.
    pub(crate) date: Option<ParamId>,
}

impl Shape {
    /// The shape of a version.
    pub(crate) fn of(version: FhirVersion) -> &'static Self {
        static SHAPES: PerVersion<Shape> = PerVersion::new();
        SHAPES.get(version, || Self::new(Model::of(version)))
    }

    fn new(model: &Model) -> Self {
        let patient = model.type_id("Patient");
        let mut by_type = Vec::new();
        for id in model.types() {
            let param = |code: &str| model.param(id, code);
            let patients: Vec<ParamId> = PATIENTS
                .iter()
                .filter_map(|code| param(code))
                .filter(|p| patient.is_some_and(|t| p.targets.contains(&t)))
                .map(|p| p.id)
                .collect();
            let date = DATES
                .iter()
                .filter_map(|code| param(code))
                .map(|p| p.id)
                .next();
            let place = usize::from(id.0);
            if by_type.len() <= place {
                by_type.resize_with(place + 1, TypeShape::default);
            }
            if let Some(slot) = by_type.get_mut(place) {
                slot.updated = param("_lastUpdated").map(|p| p.id);
                slot.date = if patients.is_empty() { None } else { date };
                slot.patients = patients;
            }
        }
        Self { by_type, patient }
    }

    /// What is special about a type.
    pub(crate) fn of_type(&self, type_id: TypeId) -> Option<&TypeShape> {
        self.by_type.get(usize::from(type_id.0))
    }

    /// The type Patient.
    pub(crate) const fn patient(&self) -> Option<TypeId> {
        self.patient
    }
}

/// One open tenant's vocabulary: shared by its writer and its readers.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    shape: &'static Shape,
    systems: RwLock<HashMap<Box<str>, i64>>,
}

impl Vocabulary {
    /// For a tenant of this version. Reads the systems that were made first (the common ones).
    /// `conn` must see committed rows only.
    pub(crate) fn open(version: FhirVersion, conn: &Connection) -> rusqlite::Result<Self> {
        let this = Self {
            shape: Shape::of(version),
            systems: RwLock::default(),
        };
        let mut read = conn.prepare("SELECT text, id FROM system ORDER BY id LIMIT ?1")?;
        let first = read.query_map([READ_FIRST], |r| Ok((r.get(0)?, r.get(1)?)))?;
        this.remember(first.collect::<rusqlite::Result<Vec<_>>>()?);
        Ok(this)
    }

    /// Parameters the index looks at.
    pub(crate) const fn shape(&self) -> &'static Shape {
        self.shape
    }

    /// The number of a system, if the tenant has it in committed rows (or, on the writer's
    /// connection, in its own).
    pub(crate) fn system(&self, conn: &Connection, text: &str) -> rusqlite::Result<Option<i64>> {
        if text.is_empty() {
            return Ok(Some(0));
        }
        if let Some(id) = self.systems.read().get(text) {
            return Ok(Some(*id));
        }
        conn.prepare_cached("SELECT id FROM system WHERE text = ?1")?
            .query_row([text], |r| r.get(0))
            .optional()
    }

    /// Remembers numbers whose rows are committed.
    pub(crate) fn remember(&self, fresh: impl IntoIterator<Item = (Box<str>, i64)>) {
        let mut systems = self.systems.write();
        for (text, id) in fresh {
            if text.len() > CACHE_TEXT_BYTES_MAX {
                continue;
            }
            if systems.len() >= CACHE_ENTRIES_MAX {
                systems.clear();
            }
            systems.insert(text, id);
        }
    }

    /// The number of a system, made if needed. The caller remembers it once it is committed.
    pub(crate) fn intern(conn: &Connection, text: &str) -> rusqlite::Result<i64> {
        conn.prepare_cached(
            "INSERT INTO system (text) VALUES (?1)
             ON CONFLICT (text) DO UPDATE SET text = excluded.text RETURNING id",
        )?
        .query_row([text], |r| r.get(0))
    }
}
