//! The conformance suite of the store: every back end passes the same tests, one module for each trait.
//!
//! Redis is real: a test starts a `redis-server` of its own, as one server, as a cluster that refuses commands across
//! slots, or behind a sentinel. Tests that concern Redis alone are in `redis/`.

#![expect(clippy::unwrap_used, reason = "a store that does not answer fails the test")]

mod clock;
mod counters;
mod dead_letters;
mod drafts;
mod links;
mod records;
mod redis;
#[path = "../support/redis_server.rs"]
mod redis_server;
mod values;

use phlo_2fa::store::redis::Redis;
use redis_server::RedisServer;

/// Makes each function a test of memory and of one server, and runs all of them in turn where starting takes seconds.
macro_rules! every_back_end_passes {
    ($($module:ident :: { $($claim:ident),* $(,)? })*) => {
        mod memory {
            $($(#[tokio::test]
            async fn $claim() {
                super::$module::$claim(&phlo_2fa::store::Memory::default()).await;
            })*)*
        }

        mod standalone {
            $($(#[tokio::test]
            async fn $claim() {
                let server = super::RedisServer::start();
                super::$module::$claim(&super::connect(&server.url())).await;
                super::redis::keys::assert_that_every_key_expires(&server);
            })*)*
        }

        #[tokio::test]
        async fn a_cluster_passes_the_suite() {
            let server = RedisServer::start_cluster();
            $($(begin(stringify!($claim), &server);
            $module::$claim(&connect(&server.url())).await;
            redis::keys::assert_that_every_key_expires(&server);)*)*
        }

        #[tokio::test]
        async fn a_cluster_of_three_passes_the_suite() {
            let servers = RedisServer::start_cluster_of_three();
            $($(servers.iter().for_each(|server| begin(stringify!($claim), server));
            $module::$claim(&connect(&servers[0].url())).await;
            servers.iter().for_each(redis::keys::assert_that_every_key_expires);)*)*
        }

        #[tokio::test]
        async fn a_master_behind_a_sentinel_passes_the_suite() {
            let master = RedisServer::start();
            let sentinel = RedisServer::start_sentinel(&master);
            $($(begin(stringify!($claim), &master);
            $module::$claim(&connect(&sentinel.url())).await;)*)*
        }
    };
}

every_back_end_passes! {
    clock::{
        the_store_answers_and_its_clock_advances,
    }
    records::{
        a_commit_can_be_loaded,
        many_records_load_in_the_order_of_their_ids,
        of_two_updates_at_one_revision_exactly_one_wins,
        a_creation_conflicts_if_the_index_names_another_verification,
        a_creation_that_knows_the_newest_verification_replaces_it_in_the_index,
        a_commit_is_idempotent,
        a_late_creation_never_revives_a_record,
        a_late_update_never_revives_an_expired_record,
        a_conflict_changes_nothing,
        a_record_expires_with_its_index,
        a_commit_extends_record_index_list_entry_and_due_time,
        concurrent_updates_lose_no_change,
        of_concurrent_creations_for_one_number_exactly_one_wins,
        guesses_outlive_their_verification,
        apps_do_not_see_each_others_lists,
        a_page_continues_where_the_last_one_ended,
        a_page_may_begin_at_a_cursor_without_a_record,
        a_list_can_be_limited_to_shards,
        a_list_can_be_limited_to_a_time,
        an_entry_has_the_status_of_the_last_commit,
        a_change_of_status_adds_nothing_to_a_list,
        a_commit_at_a_remembered_version_is_refused_with_the_record,
        a_due_record_is_leased_to_one_caller,
        a_claim_returns_the_records,
        claims_respect_the_limit_and_miss_no_record,
        a_commit_ends_the_lease,
        a_commit_without_due_time_removes_it,
        an_expired_record_is_never_due,
        concurrent_claims_never_share_a_record,
        an_erasure_removes_record_list_entry_and_due_time,
        an_erasure_at_another_revision_changes_nothing,
        no_commit_revives_an_erased_record,
        guesses_outlive_an_erasure,
        an_erasure_keeps_an_index_that_names_another_verification,
        a_verified_number_is_known_until_its_ttl_or_an_erasure,
        a_session_finds_the_record_that_it_shares,
        a_join_that_is_refused_leaves_no_session,
        an_erasure_removes_every_session,
        each_purpose_of_a_number_has_its_newest_verification,
        verifications_of_a_number_share_its_guesses,
        an_index_lasts_as_long_as_any_of_its_verifications_needs,
    }
    dead_letters::{ a_list_is_read_page_by_page_newest_first, an_entry_is_listed_once_and_for_a_time }
    counters::{
        a_counter_stops_at_its_limit_and_recovers_with_time,
        concurrent_increments_never_exceed_a_limit,
        a_commit_counts_or_changes_nothing,
        a_counter_that_is_named_twice_counts_twice,
        a_counter_keeps_the_windows_of_other_settings,
        a_counter_counts_the_same_over_many_windows,
        large_amounts_are_counted_exactly,
    }
    links::{
        an_early_report_waits_for_its_attempt,
        a_late_report_finds_its_attempt,
        pending_reports_are_limited_per_provider_id,
        a_nonce_is_valid_only_for_its_first_content,
        unlinking_deletes_link_and_pending_reports,
        a_link_is_never_moved_to_another_verification,
        a_commit_links_and_applies_what_waited,
    }
    values::{
        a_value_is_swapped_only_if_it_is_unchanged,
    }
}

/// A store at `url`.
fn connect(url: &str) -> Redis {
    Redis::connect(&url.to_owned().into(), None, 4).expect("a Redis URL")
}

/// Names the test that runs next, should it fail, and empties the server.
#[expect(clippy::print_stdout, reason = "the name of the test says only where")]
fn begin(claim: &str, server: &RedisServer) {
    println!("{claim}");
    server.command(&["FLUSHALL"]);
}
