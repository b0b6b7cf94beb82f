//! The sentences for timelines and routes.

use super::super::advice::AdviceSummary;
use super::super::curves::Level;
use super::super::evidence::RouteEvidence;
use super::super::explain::explain;
use super::super::planner::plan_for_lost_text;
use super::*;
use crate::phone::Carrier;

#[test]
fn a_call_is_explained_by_its_reason_costs_and_evidence() {
    let carrier = Carrier::from_code(310_150);
    let call = decide(&Estimates::prior(), &Observer::default(), 16_000);
    let summary = AdviceSummary {
        samples: [900, 80, 30],
        soon: 36,
        text: 300,
        need: 600,
        wait_cost_u: Some(9_100),
        call_cost_u: Some(8_000),
        ..AdviceSummary::of(&call, carrier)
    };
    assert_eq!(
        explain(&summary),
        "The call was placed after 16 s. Of the codes still missing at 16 s, 4 % were expected within 10 s and 33 % in \
         all. Waiting was expected to cost 0.9 cents, calling 0.8 cents. Based on 30 verifications on route 310-150, \
         80 in its country and 900 in all."
    );
    let reported = AdviceSummary { reported_ms_ago: Some(12_000), carrier: None, samples: [900, 1, 0], ..summary };
    assert_eq!(
        explain(&reported),
        "The call was placed after 16 s. Of the codes still missing 12 s after the delivery report, 4 % were expected \
         within 10 s and 33 % in all. Waiting was expected to cost 0.9 cents, calling 0.8 cents. Based on 1 \
         verification in the country (the route is unknown) and 900 in all."
    );
}

#[test]
fn a_route_is_called_bad_only_with_the_evidence_and_never_on_fewer_than_20_texts() {
    let call = decide(&Estimates::prior(), &Observer::default(), 20_000);
    let explained =
        |evidence| explain(&AdviceSummary { evidence, ..AdviceSummary::of(&call, Carrier::from_code(310_150)) });
    let of = |of| Some(RouteEvidence { missed: 14, of, since_s: 1_764_000_000 });
    let sentence = "Texts on this route have been doing badly: 14 of 20 texts since 2025-11-24T16:00:00.000Z had neither a \
                    report nor a code in the usual time.";
    assert!(explained(of(20)).contains(sentence), "{}", explained(of(20)));
    let reported = AdviceSummary { reported_ms_ago: Some(9_000), evidence: of(30), ..AdviceSummary::of(&call, None) };
    let sentence = "14 of 30 texts reported as delivered since 2025-11-24T16:00:00.000Z had no code in the usual time.";
    assert!(explain(&reported).contains(sentence), "{}", explain(&reported));
    for evidence in [None, of(19), of(14)] {
        assert!(!explained(evidence).contains("badly"), "{}", explained(evidence));
    }
}

#[test]
fn the_evidence_counts_the_tests_since_the_doubt_began() {
    let mut route = RouteStats::new(Level::AppRoute);
    let mut test = |hit, at_s| {
        route.apply(Lesson::Tested { test: RouteTest::FirstEvent, hit, p: 0.76, at_s });
        route.evidence(RouteTest::FirstEvent)
    };
    (0..9).for_each(|at_s| {
        test(true, at_s);
    });
    assert_eq!(test(true, 9), RouteEvidence::default(), "no doubt, no evidence");
    (10..30).for_each(|at_s| {
        test(at_s % 4 == 0, at_s);
    });
    assert_eq!(test(false, 30), RouteEvidence { missed: 16, of: 21, since_s: 10 });
    (31..50).for_each(|at_s| {
        test(true, at_s);
    });
    assert_eq!(test(true, 50), RouteEvidence::default());
}

#[test]
fn a_call_for_a_lost_text_says_that_it_was_placed_at_once() {
    let lost = plan_for_lost_text(&Estimates::prior(), &Observer::default(), 3_000, PRICE, &Costs::BALANCED);
    assert_eq!(
        explain(&AdviceSummary::of(&lost, Carrier::from_code(310_150))),
        "The text was reported lost, so the call was placed at once, after 3 s. Based on 0 verifications on route \
         310-150, 0 in its country and 0 in all."
    );
}

#[test]
fn a_call_after_the_longest_wait_or_a_resend_names_that_reason() {
    let estimates = Estimates::prior();
    let late = AdviceSummary::of(&decide(&estimates, &Observer::default(), 110_000), Carrier::from_code(310_150));
    let start =
        "The call was placed after 110 s without a code: the longest wait was over. Calling was expected to cost ";
    assert!(explain(&late).starts_with(start), "{}", explain(&late));
    assert!(explain(&late).contains("on route 310-150"), "{}", explain(&late));
    let resend = AdviceSummary { kind: AdviceReason::Resend, ..late };
    let start = "The call was placed after 110 s: the person had asked for another text and still had no code. Calling";
    assert!(explain(&resend).starts_with(start), "{}", explain(&resend));
}

#[test]
fn a_route_is_described_by_its_figures_and_what_is_unusual_about_it() {
    let described = |teach: &dyn Fn(&mut Insight)| {
        let mut insight = nothing_learned();
        teach(&mut insight);
        let (route, estimates) = (stats(&insight, Key::AppRoute(APP, ROUTE)), insight.estimates());
        RouteSummary::new(route, &estimates, PRICE, &Costs::BALANCED).to_string()
    };
    let fake = described(&|insight| {
        for n in 0..200 {
            let is_true = n % 10 < 3;
            teach(insight, Some(4_000), is_true.then_some(12_000), (!is_true).then_some(40_000));
        }
    });
    let unconverted = fake.split("The code of ").nth(1).unwrap().split(' ').next().unwrap().parse::<u32>().unwrap();
    let rest = "% of the texts reported as delivered is never entered.";
    assert!((60..=75).contains(&unconverted) && fake.contains(rest), "{fake}");
    let missing = described(&|insight| (0..200).for_each(|_| teach(insight, None, Some(9_000), None)));
    assert!(missing.contains("Delivery reports are missing.") && !missing.contains("never entered"), "{missing}");
    let good = described(&|insight| (0..200).for_each(|_| teach(insight, Some(4_000), Some(9_000), None)));
    for words in ["missing", "never entered", "Alarm"] {
        assert!(!good.contains(words), "{good}");
    }
    assert_eq!(described(&|_| ()), "Not used yet: the figures are those of its country and of all routes.");
}
