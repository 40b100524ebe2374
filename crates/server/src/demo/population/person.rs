//! Households and the people in them: age, name, home, build, and what they live with.

use serde_json::{Value, json};

use super::body::Build;
use super::calendar::{Date, YEAR};
use super::chance::Chance;
use super::conditions::{ALLERGENS, Allergen, CHRONIC, Chronic};
use super::names::{self, Name, Tongue};

/// Administrative gender as the population has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sex {
    Female,
    Male,
}

impl Sex {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
        }
    }

    fn any(chance: &mut Chance) -> Self {
        if chance.happens(0.51) {
            Self::Female
        } else {
            Self::Male
        }
    }
}

/// Somebody's place in the household.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Adult { partnered: bool },
    Child,
}

/// How somebody smokes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Smoking {
    Never,
    Former,
    Daily,
}

/// One invented person.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) sex: Sex,
    pub(super) role: Role,
    pub(super) birth: Date,
    pub(super) death: Option<Date>,
    pub(super) name: Name,
    pub(super) build: Build,
    pub(super) smoking: Smoking,
    /// Lasting disorders with the day they began.
    pub(super) chronic: Vec<(&'static Chronic, Date)>,
    pub(super) allergies: Vec<&'static Allergen>,
    mobile: Option<i64>,
    email: bool,
}

/// People who live together.
#[derive(Clone, Debug)]
pub(super) struct Household {
    pub(super) tongue: &'static Tongue,
    pub(super) people: Vec<Person>,
    street: &'static str,
    number: i64,
    flat: Option<i64>,
    phone: i64,
}

const STREETS: &[&str] = &[
    "Alder Lane",
    "Bridge Street",
    "Chestnut Avenue",
    "Dock Road",
    "Elm Court",
    "Ferry Street",
    "Granary Row",
    "Harbor View",
    "Juniper Way",
    "Kiln Hill",
    "Lantern Street",
    "Mill Pond Road",
    "Orchard Close",
    "Quarry Road",
    "Saddler's Walk",
    "Tannery Lane",
    "Vineyard Terrace",
    "Willow Bend",
    "Rue de l'Église",
    "Calle del Río",
];

impl Household {
    /// A household of the town.
    pub(super) fn new(chance: &mut Chance, today: Date) -> Self {
        let tongue = names::tongue(chance);
        let family = tongue.family(chance);
        let age = if chance.happens(0.22) {
            chance.within(66.0, 96.0)
        } else {
            chance.within(20.0, 68.0)
        };
        let sex = Sex::any(chance);
        let partnered = chance.happens(if age > 75.0 { 0.35 } else { 0.6 });
        let make = |chance: &mut Chance, sex, role, age| {
            let name = tongue.name(chance, sex, family);
            Person::new(chance, today, name, sex, role, age)
        };
        let mut people = vec![make(chance, sex, Role::Adult { partnered }, age)];
        if partnered {
            let other = match sex {
                _ if chance.happens(0.04) => sex,
                Sex::Female => Sex::Male,
                Sex::Male => Sex::Female,
            };
            let their_age = (age + chance.normal(0.0, 3.0)).clamp(19.0, 99.0);
            people.push(make(chance, other, Role::Adult { partnered }, their_age));
        }
        if (22.0..58.0).contains(&age) {
            let most = if partnered { 3 } else { 1 };
            let mut child_age = (age - chance.within(20.0, 34.0)).min(17.5);
            for _ in 0..chance.between(0, most) {
                if child_age < 0.15 {
                    break;
                }
                let sex = Sex::any(chance);
                people.push(make(chance, sex, Role::Child, child_age));
                child_age -= chance.within(1.2, 4.0);
            }
        }
        Self {
            tongue,
            people,
            street: *chance.pick::<&str>(STREETS),
            number: chance.between(1, 480),
            flat: chance.happens(0.25).then(|| chance.between(1, 24)),
            phone: chance.between(0, 99),
        }
    }

    /// The household's Address.
    pub(super) fn address(&self, town: &str, postcode: &str) -> Value {
        let mut line = vec![format!("{} {}", self.number, self.street)];
        if let Some(flat) = self.flat {
            line.push(format!("Apt {flat}"));
        }
        json!([{"use": "home", "line": line, "city": town, "state": "NY", "postalCode": postcode, "country": "US"}])
    }

    /// One person's ContactPoints. Numbers are from the range kept for fiction.
    pub(super) fn telecom(&self, person: &Person) -> Value {
        let phone = |n: i64| format!("+1-518-555-01{n:02}");
        let mut telecom =
            vec![json!({"system": "phone", "value": phone(self.phone), "use": "home"})];
        if let Some(mobile) = person.mobile {
            telecom.push(
                json!({"system": "phone", "value": phone(mobile), "use": "mobile", "rank": 1}),
            );
        }
        if person.email {
            let plain: String = format!("{}.{}", person.name.given.0, person.name.family.0)
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
                .collect();
            let value = format!(
                "{}{}@example.org",
                plain.to_ascii_lowercase(),
                person.birth.year() % 100
            );
            telecom.push(json!({"system": "email", "value": value}));
        }
        Value::from(telecom)
    }
}

impl Person {
    fn new(chance: &mut Chance, today: Date, name: Name, sex: Sex, role: Role, age: f64) -> Self {
        let birth = today.plus(-((age * YEAR) as i64));
        let build = Build::new(chance, sex);
        let smoking = match role {
            Role::Adult { .. } if chance.happens(0.14) => Smoking::Daily,
            Role::Adult { .. } if age > 30.0 && chance.happens(0.22) => Smoking::Former,
            _ => Smoking::Never,
        };
        let mut chronic = Vec::new();
        for kind in CHRONIC {
            let needs_smoke = kind.effect == super::conditions::Effect::Lungs;
            if kind.strikes(chance, age, build.bmi) && (!needs_smoke || smoking != Smoking::Never) {
                let years_ago = chance.within(0.1, if age < 30.0 { age * 0.5 } else { 14.0 });
                chronic.push((kind, today.plus(-((years_ago * YEAR) as i64))));
            }
        }
        let mut allergies = Vec::new();
        while allergies.len() < 3 && chance.happens(0.14) {
            let allergen = chance.pick(ALLERGENS);
            if !allergies.iter().any(|a: &&Allergen| a.0 == allergen.0) {
                allergies.push(allergen);
            }
        }
        let mortality = if age < 55.0 {
            0.002
        } else {
            ((age - 55.0) * 0.004).min(0.16)
        };
        let death = chance
            .happens(mortality)
            .then(|| today.plus(-chance.between(20, 700)));
        Self {
            sex,
            role,
            birth,
            death,
            name,
            build,
            smoking,
            chronic,
            allergies,
            mobile: (age > 12.0 && chance.happens(0.8)).then(|| chance.between(0, 99)),
            email: age > 16.0 && chance.happens(0.6),
        }
    }

    /// The HumanNames: Latin letters, and the person's own script where there is one.
    pub(super) fn names(&self) -> Value {
        let Name {
            family,
            given,
            second,
        } = self.name.clone();
        let mut latin = vec![given.0];
        latin.extend(second);
        let mut names = vec![json!({"use": "official", "family": family.0, "given": latin})];
        if !family.1.is_empty() && !given.1.is_empty() {
            names.push(json!({"use": "usual", "family": family.1, "given": [given.1]}));
        }
        Value::from(names)
    }

    /// Name on one line, for references.
    pub(super) fn display(&self) -> String {
        format!("{} {}", self.name.given.0, self.name.family.0)
    }

    /// When the person began to live with a disorder that does this to measurements.
    pub(super) fn lives_with(&self, effect: super::conditions::Effect, on: Date) -> bool {
        self.chronic
            .iter()
            .any(|(kind, since)| kind.effect == effect && *since <= on)
    }
}
