//! The judge of policies at the edge: random policies with variables, conditions on the request, hidden
//! elements, rules of charts, consents and labels, over random resources, for callers whom vendors' grants bound
//! or do not. What searches find, what single resources answer and what writes come to is what a naive evaluator
//! reads from the policy's text.

mod charts;
mod consents;
mod judge;
mod naive;
mod queries;
mod random;
mod text;
mod trial;
mod writes;

use std::net::IpAddr;

use proptest::prelude::*;

use judge::Judge;
use naive::Facts;
use queries::QUERIES;
use random::Dice;

fn round(judge: &mut Judge, dice: &mut Dice) {
    let clients = judge.clients();
    let people: Vec<String> = judge
        .callers
        .iter()
        .filter_map(|c| c.person.clone())
        .collect();
    let mut said = random::policy(dice, &people, &clients, judge.now());
    judge.publish(&said);
    let facts = |judge: &Judge, dice: &mut Dice| Facts {
        from: dice
            .one::<IpAddr>(&["10.0.0.7".parse().unwrap(), "192.0.2.4".parse().unwrap()])
            .to_owned(),
        reason: *dice.one(&[None, Some("audit"), Some("care of somebody")]),
        now: judge.now(),
    };
    let fact = facts(judge, dice);
    judge.open_somebody(&mut said, dice, fact);
    let strong = judge.callers.iter().position(|c| c.strong).unwrap();
    let who = |judge: &Judge, dice: &mut Dice| match said.opened.is_some() && dice.in_one_of(2) {
        true => strong,
        false => dice.below(judge.callers.len()),
    };
    for _ in 0..2 {
        let at = who(judge, dice);
        let facts = facts(judge, dice);
        let trial = judge.trial(&said, at, facts);
        trial.reads();
        trial.searches(QUERIES);
        trial.operates();
        trial.tells_nothing_else();
    }
    let at = who(judge, dice);
    let mut made = Vec::new();
    for _ in 0..6 {
        let facts = facts(judge, dice);
        judge.write(&said, at, facts, dice);
        made.extend(judge.create(&said, at, facts, dice));
    }
    judge.let_go();
    for of in made {
        judge
            .world
            .fhir(&judge.all, &format!("DELETE {of}"), "")
            .status(204);
    }
    judge.is_as_known();
    // Others go on.
    let (p, b, e) = (dice.below(5), dice.below(8), dice.below(4));
    let now = judge.now();
    for body in [
        random::patient(dice, &format!("p{p}"), &clients),
        random::observation(dice, &format!("b{b}")),
        random::encounter(dice, &format!("e{e}")),
        random::consent(dice, &format!("k{}", p % 4), now),
        random::care_team(dice, &format!("t{}", p % 3), now),
    ] {
        judge.put(body);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn requests_get_what_the_text_of_the_policy_says(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let mut judge = Judge::new(&mut dice);
        for _ in 0..8 {
            round(&mut judge, &mut dice);
        }
    }
}
