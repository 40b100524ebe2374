//! Rows that belong to no parameter of the definitions: identifiers with their types, how texts begin, the
//! words of texts, what a Binary is bound to, where an Encounter expects its patient, and who is a member still.

use super::super::rows::{self as rows_of, Row, RowValue};
use super::super::served::is_r5;
use super::super::{value::fold, words};
use super::{Emit, Extractor, ParamPlan, Shape, reference, settle, string, token};
use crate::definitions::{ParamKind, TypeId};
use crate::json;
use crate::path::Item;

impl Extractor<'_> {
    /// Rows that belong to no parameter of the definitions: identifiers with their types, the words
    /// of the narrative and those of all other texts.
    pub(super) fn apart(&self, type_id: TypeId, rows: &mut Vec<Row>) {
        self.beginnings(&self.of_type.params, rows);
        for param in self.of_type.params.iter().filter(|p| p.has_identifiers) {
            let from = rows.len();
            let id = rows_of::of_type(param.id);
            self.reader().each(param, &mut |item: Item<'_>| {
                if let Some(value) = item.node().and_then(|n| n.value) {
                    token::of_type(value, &mut |value| rows.push(Row { param: id, value }));
                }
            });
            settle(rows, from, ParamKind::Token);
        }
        let text = self.resource.value.and_then(|v| v.get("text"));
        let div = text
            .and_then(|t| t.get("div"))
            .and_then(json::Value::as_str);
        let words = div.map_or_else(String::new, |div| words::of_narrative(&div));
        if !words.is_empty() {
            let param = rows_of::narrative(type_id);
            let each = words::indexed(&words).into_iter();
            rows.extend(each.map(|word| Row {
                param,
                value: RowValue::Uri(word.into()),
            }));
            let value = RowValue::Text(words.into());
            rows.push(Row { param, value });
        }
        let texts = self
            .resource
            .value
            .map_or_else(String::new, words::of_resource);
        if !texts.is_empty() {
            let param = rows_of::content(type_id);
            let value = RowValue::Text(texts.into());
            rows.push(Row { param, value });
        }
        rows.extend(self.security_context());
        rows.extend(self.expected_at());
        rows.extend(self.members());
    }

    /// Who is a member of a Group, or in a List, now. Only R5 asks for it.
    fn members(&self) -> Vec<Row> {
        let types = &self.plans.types;
        let (all, member, former) = match types.name(self.of_type.ty) {
            _ if !is_r5(types.model().version()) => return Vec::new(),
            "Group" => ("member", "entity", "inactive"),
            "List" => ("entry", "item", "deleted"),
            _ => return Vec::new(),
        };
        let all = self.resource.value.and_then(|v| v.get(all));
        let mut rows = Vec::new();
        for one in all.into_iter().flat_map(json::Value::items) {
            if one.get(former).and_then(json::Value::as_bool) == Some(true) {
                continue;
            }
            let param = rows_of::MEMBER;
            if let Some(member) = one.get(member) {
                let mut keep = |value| rows.push(Row { param, value });
                self.reader().reference(Shape::Reference, member, &mut keep);
            }
        }
        settle(&mut rows, 0, ParamKind::Reference);
        rows
    }

    /// What the `securityContext` of a Binary refers to.
    pub(in super::super) fn security_context(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let context = match self.plans.types.name(self.of_type.ty) {
            "Binary" => self.resource.value.and_then(|v| v.get("securityContext")),
            _ => None,
        };
        let Some(context) = context else { return rows };
        let param = rows_of::SECURITY_CONTEXT;
        let mut keep = |value| rows.push(Row { param, value });
        self.reader()
            .reference(Shape::Reference, context, &mut keep);
        if rows.is_empty() {
            // Something is meant, and nobody knows what.
            rows.push(Row {
                param,
                value: reference::unnamed(),
            });
        }
        settle(&mut rows, 0, ParamKind::Reference);
        rows
    }

    /// The locations of an Encounter where the patient is expected, and neither is nor was.
    pub(in super::super) fn expected_at(&self) -> Vec<Row> {
        let all = match self.plans.types.name(self.of_type.ty) {
            "Encounter" => self.resource.value.and_then(|v| v.get("location")),
            _ => None,
        };
        let (mut expected, mut there) = (Vec::new(), Vec::new());
        for one in all.into_iter().flat_map(json::Value::items) {
            let status = one.get("status").and_then(json::Value::as_str);
            let rows = match status.as_deref() {
                Some("planned" | "reserved") => &mut expected,
                _ => &mut there,
            };
            let param = rows_of::EXPECTED_AT;
            if let Some(location) = one.get("location") {
                let mut keep = |value| rows.push(Row { param, value });
                self.reader()
                    .reference(Shape::Reference, location, &mut keep);
            }
        }
        expected.retain(|row| !there.contains(row));
        settle(&mut expected, 0, ParamKind::Reference);
        expected
    }

    /// How the texts of these parameters begin, of which `rows` has the rows: texts of several words
    /// without the spaces, and names from each later word of them on.
    pub(in super::super) fn beginnings<'p, P: std::borrow::Borrow<ParamPlan>>(
        &'p self,
        params: &'p [P],
        rows: &mut Vec<Row>,
    ) {
        let (all, mut at) = (rows.len(), 0);
        for param in params.iter().map(std::borrow::Borrow::borrow) {
            if param.kind != ParamKind::String {
                continue;
            }
            let from = rows.len();
            let id = rows_of::beginnings(param.id);
            let mut parts = false;
            // Both are sorted by parameter.
            while let Some(row) = rows.get(at).filter(|_| at < all) {
                if row.param > param.id {
                    break;
                }
                if row.param == param.id
                    && let RowValue::String { folded, exact } = &row.value
                {
                    parts = parts || fold::later_words(exact).next().is_some();
                    let value = joined(folded, exact);
                    rows.extend(value.map(|value| Row { param: id, value }));
                }
                at += 1;
            }
            if parts && param.has_names && param.id.0 < rows_of::CUSTOM {
                self.later_words(param, &mut |value| rows.push(Row { param: id, value }));
            }
            settle(rows, from, ParamKind::String);
        }
    }

    /// The same of one parameter alone.
    pub(in super::super) fn beginnings_of(&self, param: &'static ParamPlan) -> Vec<Row> {
        let mut rows = self.rows_of(param);
        let own = rows.len();
        self.beginnings(&[param], &mut rows);
        rows.split_off(own)
    }

    /// The names of a parameter, from each later word of them on.
    fn later_words<'p>(&'p self, param: &'p ParamPlan, emit: Emit<'_>) {
        self.reader().each(param, &mut |item| {
            if let Some((value, shape)) = item
                .node()
                .and_then(|n| Some((n.value?, self.plans.shapes.of_type(n.ty))))
            {
                string::later_words(shape, value, emit);
            }
        });
    }
}

/// A text of several words without the spaces; none for one of one word.
fn joined(folded: &str, exact: &str) -> Option<RowValue> {
    folded.contains(' ').then(|| RowValue::String {
        folded: rows_of::joined(folded).into(),
        exact: exact.into(),
    })
}
