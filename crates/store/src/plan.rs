//! A typed query and a permit become statements: no I/O, no connection.
//!
//! 1. [`cond`]: clauses become conditions on one type's rows; types that the permit does not show
//!    are left out at every hop, and so are rows that it does not reach.
//! 2. [`drive`]: which condition to start from. The rarest one gives the rows, the others are
//!    asked about each row by its `rid`. What is rare is measured through [`Facts`], by counts
//!    that stop early.
//! 3. [`select`]: the text. Rows are read in the order of the answer wherever an index has that
//!    order, so that a page costs what it shows and not what matches.
//!
//! Knows the index tables, not what is in them.

pub(crate) mod compare;
pub(crate) mod cond;
pub(crate) mod contained;
pub(crate) mod drive;
pub(crate) mod order;
pub(crate) mod score;
pub(crate) mod select;
pub(crate) mod text;

use std::sync::Arc;

use access::Rule;
use fhir::definitions::{ParamId, TypeId};
use fhir::search::query::Spot;

use crate::Result;
use crate::sqlite::index::{IdKey, Table};
use crate::sqlite::reach::LISTED_MAX;
use text::{Bind, Statement};

pub(crate) use cond::{Cond, For, conditions};
pub(crate) use drive::{Choice, choose};
pub(crate) use order::{Order, Place, View};

/// How far the planner goes before it takes another way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Rows up to which candidates are compared.
    pub(crate) compared: u64,
    /// Rows that are gathered and sorted rather than looked for in the order of the answer.
    pub(crate) gathered: u64,
    /// Rows that are gathered and sorted by values of their own rather than walked in that order.
    pub(crate) sorted: u64,
    /// Rows of an inner condition up to which a chain is started from its end.
    pub(crate) inner: u64,
    /// Systems (or units) that one code is looked for in, one by one.
    pub(crate) systems: usize,
    /// More equalities than this are joined as a list of values.
    pub(crate) listed: usize,
    /// More arms than this are not read one by one.
    pub(crate) arms: usize,
    /// Resources of one hierarchy (`:above`, `:below`).
    pub(crate) hierarchy: usize,
    /// Different positions that `near` compares.
    pub(crate) positions: usize,
    /// Rows of a rule that are remembered as a list.
    pub(crate) remembered: u64,
    /// They are remembered as a list where they are less than one of so many rows of their type.
    pub(crate) sparse: usize,
    /// Some rows are kept apart, and are no evidence for others.
    pub(crate) quarantine: bool,
}

impl Bounds {
    /// As measured with 300,000 resources.
    pub(crate) const MEASURED: Self = Self {
        compared: 512,
        gathered: 4_096,
        sorted: 2_048,
        inner: 1_024,
        systems: 16,
        listed: 8,
        arms: 32,
        hierarchy: 1_000,
        positions: 20_000,
        remembered: LISTED_MAX as u64,
        sparse: 16,
        quarantine: false,
    };
}

/// What the planner asks of the data.
pub(crate) trait Facts {
    /// The number of a token system, if the tenant has it.
    fn system(&mut self, text: &str) -> Result<Option<i64>>;
    /// The different values of `columns` among the rows of a parameter where `fixed` hold; `None`
    /// if there are more than `max`.
    fn different(
        &mut self,
        table: Table,
        param: i64,
        fixed: &[(&'static str, Bind)],
        columns: &[&'static str],
        max: usize,
    ) -> Result<Option<Vec<Vec<Bind>>>>;
    /// From here on it is understood what must not be, or no longer so.
    fn turn(&mut self);
    /// Ids of the resources of a type that are part of these (`above`: that these are part of) by a
    /// reference parameter of that type, one step.
    fn related(
        &mut self,
        above: bool,
        type_id: TypeId,
        of: &[IdKey],
        part_of: ParamId,
    ) -> Result<Vec<IdKey>>;
    /// The parameters of the URL and of the version of a type, if a reference parameter holds
    /// canonicals that may name it.
    fn canonical(&self, param: ParamId, target: TypeId) -> Option<(i64, i64)>;
    /// The types that a reference parameter may name by canonicals, each with the parameters of its
    /// URL and of its version.
    fn canonicals(&self, param: ParamId) -> Vec<(TypeId, i64, i64)>;
    /// The type that a standard parameter is of.
    fn owner(&self, param: ParamId) -> Option<TypeId>;
    /// The parameter `_id` of a type of which the tenant has contained resources, or had.
    fn contains(&mut self, type_id: TypeId) -> Result<Option<ParamId>>;
    /// The different positions under a parameter between two latitudes.
    fn positions(&mut self, param: i64, south: f64, north: f64) -> Result<Vec<(f64, f64)>>;
    /// The different boundaries under a parameter that go around a place.
    fn areas(&mut self, param: i64, around: Spot) -> Result<Vec<Box<str>>>;
    /// The number by which memory is asked which rows of a type a rule reaches, if it is remembered.
    fn remembered(&mut self, type_id: TypeId, rule: &Rule) -> Result<Option<i64>>;
    /// The rows that memory of this number may reach, oldest first, where they are few; whether it reaches
    /// all of these.
    fn listed(&mut self, number: i64) -> Option<(Arc<[i64]>, bool)>;
    /// Runs a statement that answers a number of rows and a `rid`.
    fn measure(&mut self, statement: &Statement) -> Result<(u64, i64)>;
    /// The change that is answered as of.
    fn as_of(&self) -> i64;
    /// How far to go.
    fn bounds(&self) -> Bounds;
}
