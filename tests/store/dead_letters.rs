//! [`DeadLetters`]: the webhooks that no receiver has taken.

use std::time::Duration;

use phlo_2fa::store::{DeadLetter, Store};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::WebhookId;

use crate::drafts::*;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn letter(at: Timestamp, entry: u16) -> DeadLetter {
    DeadLetter { at, id: WebhookId { id: draft().id, entry } }
}

/// An app that no other test has.
fn app(name: &str) -> String {
    format!("{name}-{}", draft().id.to_string().trim_start_matches("vrf_"))
}

pub(crate) async fn a_list_is_read_page_by_page_newest_first(store: &dyn Store) {
    let (app, other, now) = (app("a"), app("b"), store.now().await.unwrap());
    // Three at one moment, and more before.
    let mut letters: Vec<_> = (0..3).map(|n| letter(now, n)).collect();
    letters.extend((1..8).map(|n| letter(now - Duration::from_secs(n), 4)));
    for letter in &letters {
        store.add_dead_letter(&app, *letter, WEEK).await.unwrap();
    }
    letters.sort_unstable_by(|a, b| b.cmp(a));
    for limit in [1, 2, 3, 50] {
        let (mut read, mut before) = (Vec::new(), None);
        loop {
            let page = store.dead_letters(&app, before, limit).await.unwrap();
            read.extend(page.iter().copied());
            before = page.last().copied();
            if page.len() < limit {
                break;
            }
        }
        assert_eq!(read, letters, "{limit} at a time");
    }
    assert_eq!(store.dead_letters(&other, None, 10).await.unwrap(), []);
}

pub(crate) async fn an_entry_is_listed_once_and_for_a_time(store: &dyn Store) {
    let (app, now) = (app("a"), store.now().await.unwrap());
    let (old, again) = (letter(now - WEEK, 1), letter(now - Duration::from_secs(9), 2));
    let renewed = DeadLetter { at: now, ..again };
    for letter in [old, again, renewed, renewed] {
        store.add_dead_letter(&app, letter, WEEK - Duration::from_secs(1)).await.unwrap();
    }
    assert_eq!(store.dead_letters(&app, None, 10).await.unwrap(), [renewed]);
}
