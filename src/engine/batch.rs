//! [`Batch`]: events that are decided and committed together, with the provider ids that they name.

use std::borrow::Cow;

use crate::store::{NewLink, PendingReport};
use crate::verification::{AttemptIndex, Event, ProviderId, Verification};

/// Events on their way into a record.
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// Whether the events are those of the only open session, because the verification was found by its number. Else they
    /// are those of the session whose id names it.
    pub(super) is_of_only_session: bool,
    /// The provider ids that the events name and the store does not map yet.
    links: Vec<NewLink>,
    /// Reports that waited for those ids.
    reports: Vec<Vec<Event>>,
}

impl Batch {
    /// Takes it that the commit will link the provider ids which the events name.
    pub(super) fn new(mut events: Vec<Event>) -> Self {
        let mut links = Vec::new();
        for (attempt, id) in events.iter_mut().filter_map(Event::unlinked_mut) {
            id.is_linked = true;
            links.push(NewLink { provider_id: id.uuid.clone(), attempt, applied: 0 });
        }
        Self { events, is_of_only_session: false, reports: vec![Vec::new(); links.len()], links }
    }

    /// The events, and those of the reports that waited for them.
    pub(super) fn all(&self) -> Cow<'_, [Event]> {
        if self.reports.iter().all(Vec::is_empty) {
            return Cow::Borrowed(&self.events);
        }
        // The reports first: the answer is that to the last of the events.
        Cow::Owned(self.reports.iter().flatten().chain(&self.events).cloned().collect())
    }

    /// The links that the record does not have.
    pub(super) fn links_beyond(&self, v: &Verification) -> Vec<NewLink> {
        let is_new = |link: &&NewLink| !v.attempt(link.attempt).is_some_and(|a| a.is_known_by(&link.provider_id));
        self.links.iter().filter(is_new).cloned().collect()
    }

    /// Applies the reports that waited for a link, together with the link.
    pub(super) fn add_reports(&mut self, link: &NewLink, reports: Vec<PendingReport>) {
        let Some(position) = self.links.iter().position(|known| known.provider_id == link.provider_id) else { return };
        self.links[position].applied = reports.len();
        let events = reports.into_iter().map(|report| reported(link.attempt, report, &link.provider_id));
        self.reports[position] = events.collect();
    }

    /// Leaves the links to be made later, as owed effects.
    pub(super) fn owe_links(&mut self) {
        let links = std::mem::take(&mut self.links);
        self.reports.clear();
        for id in self.events.iter_mut().filter_map(Event::provider_id_mut) {
            id.is_linked &= links.iter().all(|link| link.provider_id != id.uuid);
        }
    }
}

/// The event of a report whose UUID is linked.
pub(super) fn reported(attempt: AttemptIndex, report: PendingReport, uuid: &str) -> Event {
    let provider_id = Some(ProviderId { uuid: uuid.to_owned(), is_linked: true });
    match report {
        PendingReport::Text(report, facts) => Event::TextReported { attempt, report, provider_id, facts },
        PendingReport::Call(report, facts) => Event::CallReported { attempt, report, provider_id, facts },
    }
}
