//! `GET /v1/routes`: what has been learned of each route, and when the adaptive policy calls there.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::auth::Caller;
use super::error::ApiError;
use crate::engine::EngineError;
use crate::escalation::Policy;
use crate::learner::app_hash;
use crate::phone::{Carrier, Country};
use crate::route_model::{CALL_PRICE_U, CostPreset, Estimates, Key, RouteStats, RouteSummary};

/// What the caller's app has learned of its routes, and all apps of every country and the world.
#[derive(Serialize, ToSchema)]
pub struct RoutesView {
    /// The policy of verifications that do not name one. Only `adaptive` uses the figures below.
    #[schema(example = "adaptive")]
    pub policy: String,
    /// Networks, the busiest first.
    pub routes: Vec<RouteView>,
    /// Countries, the busiest first.
    pub countries: Vec<RouteView>,
    /// All routes together.
    pub world: Option<RouteView>,
}

/// What texts to one network, one country or the world do. Shares are of 1; old verifications count less.
#[derive(Serialize, ToSchema)]
pub struct RouteView {
    /// MCC and MNC; null for a country.
    #[schema(example = "310-150")]
    pub route: Option<String>,
    /// ISO code, where it is known.
    #[schema(example = "US")]
    pub country: Option<String>,
    /// Verifications behind the figures.
    pub verifications: u32,
    /// Share of texts that lead to the code being entered.
    pub conversion: f64,
    /// Share of texts that are reported as delivered.
    pub reported: f64,
    /// Share of texts reported as delivered whose code is entered.
    pub converted_after_delivered: f64,
    /// Median time to the first event (a report or the code), in seconds, among texts that ever have one.
    pub median_first_event_s: f64,
    /// Seconds after which a text without any event is followed by a call; null for never.
    pub call_after_s: Option<f64>,
    /// Seconds from a delivery report to the call, if no code comes; null for never.
    pub call_after_delivered_s: Option<f64>,
    /// Alarm: fewer texts than usual have a report or a code.
    pub is_silent: bool,
    /// Alarm: fewer codes than usual follow delivery reports, which may therefore be faked.
    pub reports_suspect: bool,
    /// The same in sentences.
    #[schema(
        example = "Of the texts of 57 recent verifications, 30 % bring the code and 98 % are reported as delivered. \
        Half of all first events come within 4 s. The code of 70 % of the texts reported as delivered is never \
        entered. A silent text is followed by a call after 12 s, a delivered one 6 s after its report."
    )]
    pub text: String,
}

/// Shows what has been learned of each route.
#[utoipa::path(get, path = "/v1/routes", operation_id = "list_routes", tag = "operations",
    responses((status = 200, description = "What has been learned", body = RoutesView)),
    security(("api_key" = [])))]
pub async fn list(caller: Caller, shared: Data<Shared>) -> Result<HttpResponse, ApiError> {
    let all = shared.learner.all_stats().await.map_err(EngineError::Store)?;
    let find = |wanted: Key| all.iter().find(|(key, ..)| *key == wanted).map(|(_, _, stats)| stats);
    let (world, own_app) = (find(Key::World), app_hash(&caller.app));
    let (mut routes, mut countries) = (Vec::new(), Vec::new());
    for (key, country, stats) in &all {
        match key {
            // A route is shown as the caller's app has seen it, never another app's figures.
            Key::World | Key::Route(_) => {}
            Key::AppRoute(app, _) if *app != own_app => {}
            Key::Country(letters) => {
                let country = Country::parse(&String::from_utf8_lossy(letters));
                let estimates = Estimates::new([world, Some(stats), None], None);
                countries.push(view(&shared, None, country.as_ref(), stats, &estimates));
            }
            Key::AppRoute(_, code) => {
                let above = country.as_ref().and_then(|country| country.as_str().as_bytes().first_chunk().copied());
                let above = above.and_then(|letters| find(Key::Country(letters)));
                let estimates = Estimates::new([world, above, find(Key::Route(*code))], Some(stats));
                routes.push(view(&shared, Carrier::from_code(*code), country.as_ref(), stats, &estimates));
            }
        }
    }
    for list in [&mut routes, &mut countries] {
        list.sort_by_key(|route| std::cmp::Reverse(route.verifications));
    }
    let world = world.map(|stats| view(&shared, None, None, stats, &Estimates::new([Some(stats), None, None], None)));
    let policy = shared.rules.policy.to_string();
    Ok(HttpResponse::Ok().json(RoutesView { policy, routes, countries, world }))
}

fn view(
    shared: &Shared,
    carrier: Option<Carrier>,
    country: Option<&Country>,
    stats: &RouteStats,
    estimates: &Estimates,
) -> RouteView {
    let rules = &shared.rules;
    let preset = match rules.policy {
        Policy::Adaptive(preset) => preset,
        Policy::Fixed(_) | Policy::FixedOrFail(_) | Policy::Fail | Policy::Never => CostPreset::default(),
    };
    let price = country.map_or(CALL_PRICE_U, |country| shared.learner.call_price_u(country));
    let summary = RouteSummary::new(Some(stats), estimates, price, &rules.cost_overrides.costs(preset));
    let share = |p: f64| (p * 1000.0).round() / 1000.0;
    let seconds = |ms: u32| f64::from(ms) / 1000.0;
    RouteView {
        route: carrier.map(|carrier| carrier.to_string()),
        country: country.map(ToString::to_string),
        verifications: summary.verifications.round() as u32,
        conversion: share(summary.conversion),
        reported: share(summary.reported),
        converted_after_delivered: share(summary.converted_after_delivered),
        median_first_event_s: seconds(summary.median_first_event_ms),
        call_after_s: summary.call_after_ms.map(seconds),
        call_after_delivered_s: summary.call_after_delivered_ms.map(seconds),
        is_silent: summary.is_silent,
        reports_suspect: summary.reports_suspect,
        text: summary.to_string(),
    }
}
