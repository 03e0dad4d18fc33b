//! A count of tokens reads the part of the table that it is asked for.

use super::{statements::plan, *};
use crate::store::sql::token_counts::COUNT_SOME;

#[test]
fn a_part_of_a_count_is_searched_by_the_key_of_the_table() {
    let directory = directory();
    let plan = plan(&open(&directory), COUNT_SOME);
    let reads: Vec<&String> = plan.iter().filter(|step| step.contains(" tokens")).collect();
    assert_eq!(reads, ["SEARCH tokens USING INTEGER PRIMARY KEY (rowid>?)"], "{plan:?}");
}
