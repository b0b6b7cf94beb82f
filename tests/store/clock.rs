//! What [`Store`] adds to the four traits.

use phlo_2fa::store::Store;

pub(crate) async fn the_store_answers_and_its_clock_advances(store: &dyn Store) {
    store.ping().await.unwrap();
    let before = store.now().await.unwrap();
    let after = store.now().await.unwrap();
    assert!(before <= after && before.as_millis() > 1_600_000_000_000);
}
