//! Ways from one resource to another besides plain references: into what is contained, back along
//! canonicals, and over the members of a Group or List.

use fhir::definitions::{ParamId, TypeId};

use super::{Source, key_index, probe, set, version_fits};
use crate::plan::cond::{Canonical, Cond};
use crate::plan::drive::Driver;
use crate::plan::text::{Bind, Binds, holds};
use crate::sqlite::index::{NO_TYPE, PLACE_BITS, Table};

/// Whether the resource refers to one that it contains and for which a condition holds. Such a
/// reference has the place as its id.
pub(super) fn inside(
    param: ParamId,
    to: TypeId,
    inner: &Cond,
    rid: &str,
    depth: usize,
    b: &mut Binds,
) -> String {
    let r = format!("r{depth}");
    let target = format!("(-(({rid} << {PLACE_BITS}) | CAST({r}.id AS INTEGER)))");
    let param = b.place(&Bind::Int(i64::from(param.0)));
    let inner = probe(inner, to, &target, depth + 1, b);
    format!(
        "EXISTS (SELECT 1 FROM ix_reference AS {r} INDEXED BY ix_reference_rid \
         WHERE {r}.rid = {rid} AND {r}.param = {param} AND {r}.type = {to} AND {holds} \
         AND {inner} LIMIT 1)",
        to = to.0,
        holds = holds(&r),
    )
}

/// The resources that refer to what they contain, as a driver gives it.
pub(super) fn containers(param: ParamId, to: TypeId, inner: &Driver, b: &mut Binds) -> Source {
    let inner = set(inner, to, b);
    let param = b.place(&Bind::Int(i64::from(param.0)));
    let from = format!(
        "FROM {inner} AS i CROSS JOIN ix_reference AS d INDEXED BY ix_reference_rid \
         WHERE d.rid = (-i.rid) >> {PLACE_BITS} AND d.param = {param} AND d.type = {to} \
         AND d.id = CAST((-i.rid) & {last} AS TEXT) AND {holds}",
        to = to.0,
        last = (1 << PLACE_BITS) - 1,
        holds = holds("d"),
    );
    Source {
        from,
        unique: false,
    }
}

/// Whether a resource for which a condition holds names this one by a canonical.
pub(super) fn named_by(
    source: TypeId,
    param: i64,
    to: &Canonical,
    inner: &Cond,
    rid: &str,
    depth: usize,
    b: &mut Binds,
) -> String {
    let (r, u) = (format!("r{depth}"), format!("u{depth}"));
    let param = b.place(&Bind::Int(param));
    let url = b.place(&Bind::Int(to.url));
    let inner = probe(inner, source, &format!("{r}.rid"), depth + 1, b);
    let mut apart = b.not_apart(&format!("{r}.rid"));
    apart.push_str(&b.is_evidence(&format!("{r}.rid")));
    format!(
        "EXISTS (SELECT 1 FROM ix_uri AS {u} INDEXED BY ix_uri_rid CROSS JOIN ix_reference AS {r} \
         INDEXED BY {key} WHERE {u}.rid = {rid} AND {u}.param = {url} AND {there} \
         AND {r}.param = {param} AND {r}.type = {NO_TYPE} AND {r}.id = {u}.uri AND {from} \
         AND {version} AND {inner}{apart} LIMIT 1)",
        key = key_index(Table::Reference),
        there = holds(&u),
        from = holds(&r),
        version = version_fits(&r, rid, &to.version.to_string()),
    )
}

/// The resources that those of a driver name by a canonical.
pub(super) fn named(
    source: TypeId,
    param: i64,
    to: &Canonical,
    inner: &Driver,
    b: &mut Binds,
) -> Source {
    let inner = set(inner, source, b);
    let param = b.place(&Bind::Int(param));
    let url = b.place(&Bind::Int(to.url));
    let from = format!(
        "FROM {inner} AS i CROSS JOIN ix_reference AS r INDEXED BY ix_reference_rid \
         CROSS JOIN ix_uri AS d INDEXED BY {key} WHERE r.rid = i.rid AND r.param = {param} \
         AND r.type = {NO_TYPE} AND {from} AND d.param = {url} AND d.uri = r.id AND {there} \
         AND {version}{evidence}",
        evidence = b.is_evidence("r.rid"),
        key = key_index(Table::Uri),
        from = holds("r"),
        there = holds("d"),
        version = version_fits("r", "d.rid", &to.version.to_string()),
    );
    Source {
        from,
        unique: false,
    }
}

/// Whether the resource refers to what a resource for which a condition holds has as a member.
pub(super) fn member_of(
    param: i64,
    (source, member): (TypeId, i64),
    inner: &Cond,
    rid: &str,
    depth: usize,
    b: &mut Binds,
) -> String {
    let (r, g) = (format!("r{depth}"), format!("g{depth}"));
    let param = b.place(&Bind::Int(param));
    let member = b.place(&Bind::Int(member));
    let inner = probe(inner, source, &format!("{g}.rid"), depth + 1, b);
    let mut apart = b.not_apart(&format!("{g}.rid"));
    apart.push_str(&b.is_evidence(&format!("{g}.rid")));
    format!(
        "EXISTS (SELECT 1 FROM ix_reference AS {r} INDEXED BY ix_reference_rid \
         CROSS JOIN ix_reference AS {g} INDEXED BY {key} WHERE {r}.rid = {rid} \
         AND {r}.param = {param} AND {of} AND {g}.param = {member} AND {g}.type = {r}.type \
         AND {g}.id = {r}.id AND {there} AND {inner}{apart} LIMIT 1)",
        key = key_index(Table::Reference),
        of = holds(&r),
        there = holds(&g),
    )
}

/// What refers to members of the resources of a driver.
pub(super) fn members(
    param: i64,
    (source, member): (TypeId, i64),
    inner: &Driver,
    b: &mut Binds,
) -> Source {
    let inner = set(inner, source, b);
    let param = b.place(&Bind::Int(param));
    let member = b.place(&Bind::Int(member));
    let from = format!(
        "FROM {inner} AS i CROSS JOIN ix_reference AS g INDEXED BY ix_reference_rid \
         CROSS JOIN ix_reference AS d INDEXED BY {key} WHERE g.rid = i.rid AND g.param = {member} \
         AND {there} AND d.param = {param} AND d.type = g.type AND d.id = g.id AND {holds}{evidence}",
        evidence = b.is_evidence("g.rid"),
        key = key_index(Table::Reference),
        there = holds("g"),
        holds = holds("d"),
    );
    Source {
        from,
        unique: false,
    }
}
