//! A synthetic population: three clinics with invented people whose charts hang together.
//!
//! Pure and repeatable: clinic, size, seed and reference date in, FHIR R4 transaction Bundles out,
//! one patient at a time. Every word in it was written for it; codes are those of SNOMED CT,
//! LOINC, RxNorm, CVX, ICD-10-CM and HL7. Knows nothing of tenants, storage or HTTP.

mod body;
mod calendar;
mod chance;
mod chart;
mod clinic;
mod conditions;
mod dental;
mod hospital;
mod labs;
mod medications;
mod names;
mod observe;
mod person;
mod practice;
mod vaccines;
mod write;

pub use calendar::Date;
pub use clinic::{CLINICS, Clinic, Kind};

use chance::Chance;
use chart::{Chart, House};
use person::{Household, Person};

/// Which population is made. The same values give the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Factor on each clinic's number of patients; 1.0 gives about thirty thousand resources.
    pub size: f64,
    /// Where chance begins.
    pub seed: u64,
    /// The day that the charts are read on: the past ends and appointments begin here.
    pub today: Date,
}

/// The Bundles of one clinic: first the house and its staff, then one Bundle for each patient.
#[derive(Debug)]
pub struct Population {
    house: House,
    recipe: Recipe,
    wanted: usize,
    made: usize,
    households: u64,
    begun: bool,
    household: Option<(Household, usize)>,
}

impl Clinic {
    /// The clinic's population.
    pub fn population(&'static self, recipe: Recipe) -> Population {
        Population {
            house: House {
                clinic: self,
                practitioners: self.practitioners(recipe.seed),
                today: recipe.today,
            },
            recipe,
            wanted: ((self.patients as f64 * recipe.size) as usize).max(1),
            made: 0,
            households: 0,
            begun: false,
            household: None,
        }
    }
}

impl Population {
    /// The next person who is a patient here.
    fn next_patient(&mut self) -> (Household, usize, Chance) {
        loop {
            if let Some((household, at)) = &mut self.household
                && *at < household.people.len()
            {
                *at += 1;
                let index = self.households * 16 + *at as u64;
                let mut chance = Chance::new(self.recipe.seed, self.house.clinic.name, index);
                // Families share a dentist and a doctor; people come to hospital alone.
                if self.house.clinic.kind == Kind::Hospital && chance.happens(0.6) {
                    continue;
                }
                return (household.clone(), *at - 1, chance);
            }
            self.households += 1;
            let purpose = format!("{}/household", self.house.clinic.name);
            let mut chance = Chance::new(self.recipe.seed, &purpose, self.households);
            self.household = Some((Household::new(&mut chance, self.recipe.today), 0));
        }
    }
}

impl Iterator for Population {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if !self.begun {
            self.begun = true;
            return Some(self.house.clinic.house(self.recipe.seed, self.recipe.today));
        }
        if self.made == self.wanted {
            return None;
        }
        self.made += 1;
        let (household, at, chance) = self.next_patient();
        let person: &Person = &household.people[at];
        let mut chart = Chart::open(&self.house, &household, person, self.made, chance);
        match self.house.clinic.kind {
            Kind::Dental => dental::fill(&mut chart),
            Kind::FamilyPractice => practice::fill(&mut chart),
            Kind::Hospital => hospital::fill(&mut chart),
        }
        Some(chart.close())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.wanted - self.made + usize::from(!self.begun);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Population {}

#[cfg(test)]
mod tests;
