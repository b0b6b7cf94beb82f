//! What has been learned of each route: how texts there have been doing, and when one is given up.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::auth::Caller;
use super::error::{ApiError, Problem};
use crate::engine::EngineError;
use crate::escalation::Policy;
use crate::phone::{Carrier, Country};
use crate::route_model::CostPreset;
use crate::route_model::curves::Key;
use crate::route_model::estimates::Estimates;
use crate::route_model::explain::RouteSummary;
use crate::route_model::stats::RouteStats;

/// Every route, every country, and all of them together.
#[derive(Serialize, ToSchema)]
pub struct RoutesView {
    /// The policy in force where a creation does not name one. Only `adaptive` goes by what stands below.
    #[schema(example = "adaptive")]
    pub policy: String,
    /// Networks, the busiest first.
    pub routes: Vec<RouteView>,
    /// Countries, the busiest first.
    pub countries: Vec<RouteView>,
    /// All together.
    pub world: Option<RouteView>,
}

/// How texts to one network, or to one country, have been doing. Shares are of 1, old verifications count less.
#[derive(Serialize, ToSchema)]
pub struct RouteView {
    /// MCC and MNC; null for a country.
    #[schema(example = "310-150")]
    pub route: Option<String>,
    /// ISO code, where it is known.
    #[schema(example = "US")]
    pub country: Option<String>,
    /// On how many verifications this rests.
    pub verifications: u32,
    /// Texts that lead to the code being entered.
    pub conversion: f64,
    /// Texts that are reported as delivered.
    pub reported: f64,
    /// Texts reported as delivered whose code is entered.
    pub believed: f64,
    /// Seconds by which there is news of half of all texts of which there ever is.
    pub half_of_news_after: f64,
    /// Seconds after which a text that nothing is heard of is given up for a call; null for never.
    pub wait: Option<f64>,
    /// Seconds after a report of delivery upon which no code has followed until a call; null for never.
    pub wait_after_report: Option<f64>,
    /// Less news comes than used to.
    pub is_silent: bool,
    /// Fewer codes follow upon reports than used to.
    pub is_disbelieved: bool,
    /// The same in words.
    #[schema(
        example = "of 57 recent verifications: 30 % of texts bring the code, 98 % are reported as delivered, half \
        of all news comes within 4 s; it reports delivery, but 70 % of those never enter the code; a silent text is \
        given up after 12 s, a reported one 6 s after its report"
    )]
    pub text: String,
}

/// Tells what has been learned of each route.
#[utoipa::path(get, path = "/v1/routes", tag = "operations",
    responses((status = 200, body = RoutesView), (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = [])))]
pub async fn list(_: Caller, shared: Data<Shared>) -> Result<HttpResponse, ApiError> {
    let nodes = shared.engine.learner.nodes().await.map_err(EngineError::Store)?;
    let find = |wanted: Key| nodes.iter().find(|(key, ..)| *key == wanted).map(|(_, _, node)| node);
    let world = find(Key::World);
    let (mut routes, mut countries) = (Vec::new(), Vec::new());
    for (key, country, node) in &nodes {
        match key {
            Key::World => {}
            Key::Country(letters) => {
                let country = Country::parse(&String::from_utf8_lossy(letters));
                countries.push(view(&shared, None, country.as_ref(), node, &Estimates::new(world, Some(node), None)));
            }
            Key::Route(code) => {
                let above = country.as_ref().and_then(|country| country.as_str().as_bytes().first_chunk().copied());
                let above = above.and_then(|letters| find(Key::Country(letters)));
                let estimates = Estimates::new(world, above, Some(node));
                routes.push(view(&shared, Carrier::from_code(*code), country.as_ref(), node, &estimates));
            }
        }
    }
    for list in [&mut routes, &mut countries] {
        list.sort_by_key(|route| std::cmp::Reverse(route.verifications));
    }
    let world = world.map(|node| view(&shared, None, None, node, &Estimates::new(Some(node), None, None)));
    let policy = shared.engine.rules.policy.to_string();
    Ok(HttpResponse::Ok().json(RoutesView { policy, routes, countries, world }))
}

fn view(
    shared: &Shared,
    carrier: Option<Carrier>,
    country: Option<&Country>,
    node: &RouteStats,
    estimates: &Estimates,
) -> RouteView {
    let rules = &shared.engine.rules;
    let mood = match rules.policy {
        Policy::Adaptive(mood) => mood,
        Policy::Fixed(_) | Policy::FixedOrFail(_) | Policy::Fail | Policy::Never => CostPreset::default(),
    };
    let price = country.map_or(crate::route_model::CALL_PRICE_U, |c| shared.engine.learner.call_price_u(c));
    let standing = RouteSummary::new(Some(node), estimates, price, &rules.worth.costs(mood));
    let share = |p: f64| (p * 1000.0).round() / 1000.0;
    RouteView {
        route: carrier.map(|carrier| carrier.to_string()),
        country: country.map(ToString::to_string),
        verifications: standing.verifications.round() as u32,
        conversion: share(standing.conversion),
        reported: share(standing.reported),
        believed: share(standing.believed),
        half_of_news_after: f64::from(standing.news_ms) / 1000.0,
        wait: standing.call_ms.map(|ms| f64::from(ms) / 1000.0),
        wait_after_report: standing.call_reported_ms.map(|ms| f64::from(ms) / 1000.0),
        is_silent: standing.is_silent,
        is_disbelieved: standing.is_disbelieved,
        text: standing.to_string(),
    }
}
