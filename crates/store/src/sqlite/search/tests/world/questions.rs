//! Random questions to the world: searches of every kind, whose answers two judges compare.

use std::sync::Arc;

use fhir::definitions::{ParamId, ParamKind};
use fhir::search::query::{
    Circle, Clause, Contained, How, Include, Match, ParamClause, Prefix, Query, Range,
    ReferenceMatch, Relevance, Shape, SortBy, SortKey, Test, TokenMatch, Total, Unit,
};

use fhir::search::rows::content;
use fhir::search::words::Run;

use super::{CODES, DATE_STEP, Dice, KINDS, PARAMS, SYSTEMS, TEXTS, TYPES, URIS, World};

impl World {
    fn token(dice: &mut Dice) -> TokenMatch {
        let some = |dice: &mut Dice, of: &[&str]| dice.often().then(|| dice.one(of).to_owned());
        let system = some(dice, &["", "urn:a", "urn:b", "urn:never"]);
        let code = if system.is_some() {
            some(dice, CODES)
        } else {
            Some(dice.one(CODES).into())
        };
        TokenMatch { system, code }
    }

    fn prefix(dice: &mut Dice) -> Prefix {
        dice.one(&[
            Prefix::Eq,
            Prefix::Ne,
            Prefix::Gt,
            Prefix::Lt,
            Prefix::Ge,
            Prefix::Le,
            Prefix::Sa,
            Prefix::Eb,
            Prefix::Ap,
        ])
    }

    fn unit(dice: &mut Dice) -> Unit {
        match dice.below(4) {
            3 => Unit::Coded {
                system: fhir::ucum::SYSTEM.to_owned(),
                code: dice.one(&["By", "bit", "g", "x"]).to_owned(),
            },
            0 => Unit::Any,
            1 => Unit::Code(dice.one(&["", "x", "y", "w"]).to_owned()),
            _ => Unit::Coded {
                system: dice.one(&["", "urn:a", "urn:never"]).to_owned(),
                code: dice.one(CODES).to_owned(),
            },
        }
    }

    fn finite(dice: &mut Dice) -> Range<i64> {
        let (low, high) = Self::range(dice);
        let at = |x: u64| i64::try_from(x).unwrap() * DATE_STEP;
        Range {
            low: at(low),
            high: at(high.max(low + 1)),
        }
    }

    fn reference(&self, dice: &mut Dice) -> ReferenceMatch {
        match dice.below(5) {
            0 => ReferenceMatch::Url {
                url: dice.one(URIS).to_owned(),
                version: dice.rarely().then(|| "1".to_owned()),
            },
            1 => ReferenceMatch::AnyType {
                id: self.id(dice),
                types: vec![self.type_id("Patient"), self.type_id("Practitioner")],
            },
            _ => ReferenceMatch::Local {
                type_id: self.type_id(dice.one(&["Patient", "Practitioner"])),
                id: self.id(dice),
                version: dice.rarely().then(|| "2".to_owned()),
            },
        }
    }

    /// A value to look for in parameter `kind` of [`PARAMS`].
    pub(in crate::sqlite::search::tests) fn value(&self, dice: &mut Dice, kind: usize) -> Match {
        match kind {
            0 if dice.rarely() => Match::TokenText("n".to_owned()),
            0 if dice.rarely() => dice.one(&[
                Match::TokenTextPrefix("an".to_owned()),
                Match::StringContains("n".to_owned()),
                Match::TokenCode(How::Begins, "x".to_owned()),
                Match::TokenCode(How::Contains, "y".to_owned()),
                Match::TokenCode(How::Ends, "z".to_owned()),
                Match::TokenCode(How::Is, "y".to_owned()),
            ]),
            0 if dice.rarely() => Match::TokenCaseless {
                system: dice.one(SYSTEMS).to_owned(),
                code: dice.one(&["x", "y", "xy"]).to_owned(),
            },
            0 if dice.rarely() => {
                let of = TokenMatch {
                    system: Some(dice.one(SYSTEMS).to_owned()),
                    code: Some(dice.one(&["x", "y"]).to_owned()),
                };
                Match::OfType(of, dice.one(&["x", "y"]).to_owned())
            }
            0 if dice.rarely() => Match::Unequal(Box::new(Match::Token(Self::token(dice)))),
            0 => Match::Token(Self::token(dice)),
            1 if dice.rarely() => {
                let is = Match::StringIs(dice.one(&["an", "anna", ""]).to_owned());
                dice.one(&[
                    is.clone(),
                    Match::Unequal(Box::new(is)),
                    Match::StringSuffix("na".to_owned()),
                ])
            }
            1 => match dice.below(3) {
                0 => Match::StringContains(dice.one(&["n", "na", "o"]).to_owned()),
                1 => Match::StringExact(dice.one(TEXTS).to_owned()),
                _ => match dice.one(&["a", "an", "ann", "z", ""]) {
                    "an" => Match::StringBegins(dice.one(&["an", "ann", "anna"]).to_owned()),
                    "z" => Match::StringBegins("n".to_owned()),
                    other => Match::StringPrefix(other.to_owned()),
                },
            },
            2 => Match::Date(Self::prefix(dice), Self::finite(dice)),
            3 if dice.rarely() => Match::Near(Circle {
                latitude: dice.below(4) as f64,
                longitude: dice.below(4) as f64,
                radius: dice.below(5) as f64 * 70_000.0,
            }),
            3 => Match::Number(Self::prefix(dice), Self::number(dice)),
            4 => Match::Quantity(Self::prefix(dice), Self::number(dice), Self::unit(dice)),
            5 | 8 if dice.rarely() => Match::ReferenceIdentifier(Self::token(dice)),
            5 | 8 if dice.rarely() => Match::Hierarchy {
                above: dice.below(2) == 0,
                type_id: self.type_id("Patient"),
                id: self.id(dice),
                part_of: self.param("Patient", "link"),
            },
            5 | 8 if dice.rarely() => Match::CanonicalVersions {
                above: dice.below(2) == 0,
                url: dice.one(URIS).to_owned(),
                version: dice.one(&["1", "1.2", "1.2.3"]).to_owned(),
            },
            5 | 8 if dice.rarely() => {
                Match::Unequal(Box::new(Match::Reference(self.reference(dice))))
            }
            5 | 8 => Match::Reference(self.reference(dice)),
            6 if dice.rarely() => dice.one(&[
                Match::UriContains("org/a".to_owned()),
                Match::UriBegins("http://e.org/ab".to_owned()),
                Match::Unequal(Box::new(Match::Uri("urn:x".to_owned()))),
            ]),
            6 => match dice.below(3) {
                0 => Match::UriBelow(dice.one(URIS).to_owned()),
                1 => Match::UriAbove(dice.one(URIS).to_owned()),
                _ => Match::Uri(dice.one(URIS).to_owned()),
            },
            _ => Match::Composite(vec![
                Match::Token(Self::token(dice)),
                match kind {
                    9 => Match::Token(Self::token(dice)),
                    10 => Match::Date(Self::prefix(dice), Self::finite(dice)),
                    11 => Match::StringPrefix(dice.one(&["a", "an", "b"]).to_owned()),
                    _ => Match::Quantity(Self::prefix(dice), Self::number(dice), Self::unit(dice)),
                },
            ]),
        }
    }

    /// A clause on parameter `kind` for Observations.
    pub(in crate::sqlite::search::tests) fn param_clause(
        &self,
        kind: usize,
        test: Test,
    ) -> ParamClause {
        let param = vec![self.param("Observation", PARAMS[kind].1)];
        ParamClause {
            param,
            kind: KINDS[kind],
            test,
        }
    }

    fn test(&self, dice: &mut Dice, kind: usize) -> Test {
        let many = dice.one(&[1, 1, 1, 2, 4]);
        match dice.below(8) {
            0 => Test::Missing(dice.below(2) == 0),
            1 | 2 => Test::None((0..many).map(|_| self.value(dice, kind)).collect()),
            _ => Test::Any((0..many).map(|_| self.value(dice, kind)).collect()),
        }
    }

    /// A clause for these types, of which only Observation and Patient have many parameters.
    fn clause(&self, dice: &mut Dice, types: &[&str], depth: u32) -> Clause {
        let rich = types
            .iter()
            .all(|t| matches!(*t, "Observation" | "Patient"));
        let code = |kind: usize, t: &str| {
            if t == "Observation" {
                PARAMS[kind].1
            } else {
                PARAMS[kind].2
            }
        };
        let params = |kind: usize| -> Vec<ParamId> {
            types.iter().map(|t| self.param(t, code(kind, t))).collect()
        };
        match dice.below(16) {
            12 | 13 if depth > 0 => {
                let count = dice.below(4);
                let some = (0..count).map(|_| self.clause(dice, types, depth - 1));
                let some = some.collect();
                if dice.below(3) == 0 {
                    Clause::And(some)
                } else {
                    Clause::Or(some)
                }
            }
            14 if depth > 0 => {
                let each = types.iter().map(|t| self.clause(dice, &[t], depth - 1));
                Clause::ByType(each.collect())
            }
            15 if depth > 0 => Clause::Not(Box::new(self.clause(dice, types, depth - 1))),
            0 => Clause::Id((0..2).map(|_| self.id(dice)).collect()),
            1 => Clause::NotId(vec![self.id(dice)]),
            2 => {
                let param = types
                    .iter()
                    .map(|t| self.param(t, "_lastUpdated"))
                    .collect();
                let test = self.test(dice, 2);
                Clause::Param(ParamClause {
                    param,
                    kind: ParamKind::Date,
                    test,
                })
            }
            3 | 4 if depth > 0 && rich => {
                let targets = ["Patient", "Group"]
                    .iter()
                    .map(|t| {
                        (
                            self.type_id(t),
                            Arc::new(self.clause(dice, &[t], depth - 1)),
                        )
                    })
                    .collect();
                let param = params(dice.one(&[5, 8]));
                Clause::Chain { param, targets }
            }
            5 | 6 if depth > 0 => {
                let source = dice.one(&["Observation", "Patient", "Group"]);
                let inner = Arc::new(self.clause(dice, &[source], depth - 1));
                let param = match source {
                    "Group" => self.param("Group", "member"),
                    s => self.param(s, code(5, s)),
                };
                Clause::Has {
                    source: self.type_id(source),
                    param,
                    inner,
                }
            }
            7 | 10 | 11 | 12.. if rich => {
                let kind = usize::try_from(dice.below(PARAMS.len() as u64)).unwrap();
                let test = self.test(dice, kind);
                Clause::Param(ParamClause {
                    param: params(kind),
                    kind: KINDS[kind],
                    test,
                })
            }
            8 => {
                let value = Match::Run(Self::run(dice));
                Clause::Param(ParamClause {
                    param: types.iter().map(|t| content(self.type_id(t))).collect(),
                    kind: ParamKind::Uri,
                    test: Test::Any([value].into()),
                })
            }
            9 if rich => Clause::MemberOf {
                param: params(dice.one(&[5, 8])),
                source: self.type_id("Group"),
                member: self.param("Group", "member"),
                inner: Arc::new(self.clause(dice, &["Group"], 0)),
            },
            7 => Clause::Never,
            _ => Clause::NotId(vec![self.id(dice)]),
        }
    }

    fn run(dice: &mut Dice) -> Run {
        let words = dice.one(&[&["an"][..], &["an", "anna"], &["bo"], &["z"]]);
        let words = words.iter().map(|w| (*w).to_owned()).collect();
        Run::new(words, dice.below(3) == 0)
    }

    /// All Observations.
    pub(in crate::sqlite::search::tests) fn everything(&self) -> Query {
        Query {
            types: vec![self.type_id("Observation")],
            filter: Vec::new(),
            relevance: Vec::new(),
            contained: None,
            sort: Vec::new(),
            count: 1_000,
            total: Total::None,
            include: Vec::new(),
            shape: Shape::Whole,
        }
    }

    /// Observations of one code in one system.
    pub(in crate::sqlite::search::tests) fn by_code(&self, dice: &mut Dice) -> Query {
        let token = TokenMatch {
            system: Some(dice.one(SYSTEMS).to_owned()),
            code: Some(dice.one(CODES).to_owned()),
        };
        let mut query = self.everything();
        query.filter.push(Clause::Param(ParamClause {
            param: vec![self.param("Observation", "code")],
            kind: ParamKind::Token,
            test: Test::Any([Match::Token(token)].into()),
        }));
        query
    }

    /// Any query.
    pub(in crate::sqlite::search::tests) fn query(&self, dice: &mut Dice) -> Query {
        let types: &[&str] = match dice.below(6) {
            0 => &["Patient"],
            1 => &["Observation", "Patient"],
            2 => TYPES,
            _ => &["Observation"],
        };
        let clauses = dice.one(&[0, 1, 1, 1, 2, 2, 3]);
        let filter: Vec<Clause> = (0..clauses).map(|_| self.clause(dice, types, 2)).collect();
        let mut query = self.everything();
        query.types = types.iter().map(|t| self.type_id(t)).collect();
        query.filter = self.patient_and_date(dice, types).unwrap_or(filter);
        for _ in 0..dice.below(3) {
            query.relevance.push(Relevance {
                run: Self::run(dice),
                params: query.types.iter().map(|t| content(*t)).collect(),
            });
        }
        for _ in 0..dice.one(&[0, 0, 1, 1, 2]) {
            let by = self.sort_by(dice, types);
            query.sort.push(SortKey {
                by,
                descending: dice.below(2) == 0,
            });
        }
        for _ in 0..dice.one(&[0, 0, 1, 2]) {
            query.include.push(self.include(dice));
        }
        if dice.rarely() {
            let (both, alone) = (dice.below(2) == 0, dice.below(2) == 0);
            query.contained = Some(Contained { both, alone });
            query.sort.clear();
            if alone {
                query.include.clear();
            }
        }
        query
    }

    /// Sometimes the pair that has an index of its own.
    fn patient_and_date(&self, dice: &mut Dice, types: &[&str]) -> Option<Vec<Clause>> {
        if types != ["Observation"] || !dice.rarely() {
            return None;
        }
        let patient = Match::Reference(ReferenceMatch::Local {
            type_id: self.type_id("Patient"),
            id: self.id(dice),
            version: None,
        });
        let which = dice.one(&[5, 8]);
        let dates: Arc<[Match]> = (0..dice.one(&[1, 2]))
            .map(|_| self.value(dice, 2))
            .collect();
        Some(vec![
            Clause::Param(self.param_clause(2, Test::Any(dates))),
            Clause::Param(self.param_clause(which, Test::Any([patient].into()))),
        ])
    }

    fn sort_by(&self, dice: &mut Dice, types: &[&str]) -> SortBy {
        match dice.below(5) {
            0 => SortBy::Id,
            2 => SortBy::Score,
            1 => SortBy::LastUpdated(
                types
                    .iter()
                    .map(|t| self.param(t, "_lastUpdated"))
                    .collect(),
            ),
            _ => {
                let rich = types
                    .iter()
                    .all(|t| matches!(*t, "Observation" | "Patient"));
                if !rich {
                    return SortBy::Id;
                }
                let kind = dice.one(&[0_usize, 1, 2, 3, 4, 5, 6]);
                let params = types
                    .iter()
                    .map(|t| {
                        let code = if *t == "Observation" {
                            PARAMS[kind].1
                        } else {
                            PARAMS[kind].2
                        };
                        self.param(t, code)
                    })
                    .collect();
                SortBy::Param(params, KINDS[kind])
            }
        }
    }

    fn include(&self, dice: &mut Dice) -> Include {
        let on = dice.one(&["Observation", "Patient"]);
        let code = match (on, dice.below(2)) {
            ("Observation", 0) => "patient",
            ("Observation", _) => "subject",
            (_, 0) => "general-practitioner",
            _ => "link",
        };
        let target = dice
            .rarely()
            .then(|| self.type_id(dice.one(&["Patient", "Group"])));
        let params = vec![(self.type_id(on), self.param(on, code))];
        // Rounds are limited, and random references run in circles: iterate forward only.
        let reverse = dice.below(2) == 0;
        Include {
            reverse,
            iterate: dice.below(2) == 0,
            params,
            target,
            open: false,
        }
    }
}
