//! One suite for every back end of the store: what it may be relied on for, by name in `store/claims.rs`
//! and `store/sharing.rs`.
//!
//! Redis is real: the tests start a `redis-server` of their own, alone, as a cluster that refuses whatever
//! crosses slots, and behind a sentinel. What only concerns Redis is in `store/redis.rs` and `store/outages.rs`.

#![expect(clippy::unwrap_used, reason = "a store that does not answer fails the test")]

#[path = "store/claims.rs"]
mod claims;
#[path = "store/counts.rs"]
mod counts;
#[path = "store/drafts.rs"]
mod drafts;
#[path = "store/erasures.rs"]
mod erasures;
#[path = "store/outages.rs"]
mod outages;
#[path = "store/redis.rs"]
mod redis;
#[path = "support/redis_server.rs"]
mod redis_server;
#[path = "store/sharing.rs"]
mod sharing;

use phlo_2fa::store::redis::Redis;
use redis_server::RedisServer;

/// Every claim as a test of memory and of a server, and all of them in turn where starting takes seconds.
macro_rules! every_back_end_keeps {
    ($($module:ident :: $claim:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $claim() {
                super::$module::$claim(&phlo_2fa::store::Memory::default()).await;
            })*
        }

        mod standalone {
            $(#[tokio::test]
            async fn $claim() {
                let server = super::RedisServer::start();
                super::$module::$claim(&super::connect(&server.url())).await;
                super::redis::assert_that_every_key_expires(&server);
            })*
        }

        #[tokio::test]
        async fn a_cluster_keeps_all_of_this() {
            let server = RedisServer::start_cluster();
            $(begin(stringify!($claim), &server);
            $module::$claim(&connect(&server.url())).await;
            redis::assert_that_every_key_expires(&server);)*
        }

        #[tokio::test]
        async fn a_cluster_of_three_keeps_all_of_this() {
            let servers = RedisServer::start_cluster_of_three();
            $(servers.iter().for_each(|server| begin(stringify!($claim), server));
            $module::$claim(&connect(&servers[0].url())).await;
            servers.iter().for_each(redis::assert_that_every_key_expires);)*
        }

        #[tokio::test]
        async fn a_master_behind_a_sentinel_keeps_all_of_this() {
            let master = RedisServer::start();
            let sentinel = RedisServer::start_sentinel(&master);
            $(begin(stringify!($claim), &master);
            $module::$claim(&connect(&sentinel.url())).await;)*
        }
    };
}

every_back_end_keeps! {
    claims::what_is_committed_is_loaded,
    claims::many_are_loaded_in_the_order_asked_for,
    claims::of_two_writers_with_one_revision_exactly_one_wins,
    claims::a_creation_for_a_number_that_has_another_newest_is_a_conflict,
    claims::a_creation_that_knows_the_newest_takes_its_place,
    claims::a_commit_run_twice_is_committed_once,
    claims::a_late_creation_never_revives_a_record,
    claims::a_late_commit_never_revives_a_forgotten_record,
    claims::a_conflict_changes_nothing,
    claims::what_is_kept_too_long_is_forgotten,
    claims::a_commit_prolongs_all_that_belongs_to_the_record,
    claims::apps_do_not_see_each_other,
    claims::a_page_goes_on_where_the_last_one_ended,
    claims::a_page_may_begin_at_a_cursor_that_is_gone,
    claims::a_list_may_be_of_one_shard,
    claims::a_list_goes_past_thousands_that_are_gone,
    sharing::what_is_due_is_claimed_by_one_until_its_lease_ends,
    sharing::no_more_are_claimed_than_asked_for_and_none_is_left_out,
    sharing::a_commit_ends_the_lease,
    sharing::due_is_removed_when_a_commit_says_none,
    sharing::what_is_forgotten_is_no_longer_due,
    sharing::claimants_side_by_side_never_share,
    sharing::an_early_report_waits_for_its_attempt,
    sharing::a_late_report_finds_its_attempt,
    sharing::parked_reports_are_bounded,
    sharing::a_nonce_is_good_for_what_it_came_with_first,
    sharing::a_memo_is_written_only_over_what_was_read,
    sharing::writers_side_by_side_lose_no_change,
    sharing::of_creations_side_by_side_one_is_the_newest,
    counts::counts_are_taken_up_to_their_limit_and_free_as_time_goes_on,
    counts::of_counts_side_by_side_no_more_are_taken_than_the_limit,
    counts::nothing_is_counted_for_a_number_that_has_a_verification,
    counts::guesses_outlive_the_verification_they_were_made_for,
    erasures::what_is_erased_is_gone_with_all_that_is_beside_it,
    erasures::what_has_changed_since_is_not_erased,
    erasures::nothing_brings_back_what_is_erased,
    erasures::guesses_outlive_an_erasure,
    erasures::an_index_that_names_another_stays,
    erasures::what_a_providers_id_finds_is_forgotten,
    erasures::what_one_verification_is_told_of_no_other_gets,
    sharing::it_answers_and_its_time_goes_forward,
}

/// A store over what `url` names.
fn connect(url: &str) -> Redis {
    Redis::connect(&url.to_owned().into(), 4).expect("a Redis URL")
}

/// Says what is about to be tested, should it fail, and that nothing is there from before.
#[expect(clippy::print_stdout, reason = "the test's name says only where")]
fn begin(claim: &str, server: &RedisServer) {
    println!("{claim}");
    server.command(&["FLUSHALL"]);
}
