//! Statements: their parameters, the columns of their rows, and what the rules of the store do with them.

use std::ops::ControlFlow;

use super::*;
use crate::store::{
    StoreError,
    sql::connection::{Connection, NONE, named, numbered},
};

#[test]
fn values_of_each_type_are_written_and_read() {
    let Some(database) = TestDatabase::new() else { return };
    database.execute("CREATE TABLE values (n bigint, s integer, f boolean, t text, b bytea, i uuid)");
    let connection = database.write_connection();
    let connection: &dyn Connection = &connection;
    assert!(connection.execute("SELECT 1", NONE).is_ok());
    let id = Uuid::from_u128(7);
    let insert = "INSERT INTO values VALUES (:n, :s, :f, :t, :b, :i)";
    let all = named! {":n": i64::MIN, ":s": 3_i64, ":f": true, ":t": "Zoë", ":b": [9_u8; 32], ":i": id};
    assert_eq!(connection.execute(insert, all), Ok(1));
    let nothing = named! {
        ":n": None::<i64>, ":s": None::<i64>, ":f": None::<bool>, ":t": None::<&str>, ":b": None::<[u8; 32]>, ":i": None::<Uuid>
    };
    assert_eq!(connection.execute(insert, nothing), Ok(1));
    let select = "SELECT n, s, f, t, b, i, NULL FROM values WHERE n IS NOT DISTINCT FROM ?1";
    let read = connection.one(select, numbered![i64::MIN], |row| {
        Ok((
            (row.get(0)?, row.get(1)?, row.get(2)?),
            (row.get(3)?, row.get(4)?, row.get(5)?),
            row.get::<Option<i64>>(6)?,
        ))
    });
    assert_eq!(read, Ok(((i64::MIN, 3_i64, true), ("Zoë".to_owned(), [9_u8; 32], id), None)));
    let read = connection.one(select, numbered![None::<i64>], |row| {
        Ok((row.integer(0)?, row.flag(2)?, row.get::<Option<String>>(3)?, row.get::<Option<[u8; 32]>>(4)?, row.id(5)?))
    });
    assert_eq!(read, Ok((None, None, None, None, None)));
    // A column of another type than the expected one is a defect, and so is NULL where none may be.
    let misread = connection.one(select, numbered![i64::MIN], |row| row.get::<String>(0));
    assert!(matches!(misread, Err(StoreError::Internal(_))), "{misread:?}");
    let missing = connection.one(select, numbered![None::<i64>], |row| row.get::<i64>(0));
    assert!(matches!(missing, Err(StoreError::Internal(_))), "{missing:?}");
}

#[test]
fn a_condition_that_a_parameter_may_leave_out_works_with_and_without_it() {
    let Some(database) = TestDatabase::new() else { return };
    database.execute("CREATE TABLE numbers AS SELECT n::bigint FROM generate_series(1, 5) n");
    let connection = database.write_connection();
    let connection: &dyn Connection = &connection;
    let sum = |after: Option<i64>| {
        let select = "SELECT count(*) FROM numbers NOT INDEXED WHERE (:after IS NULL OR n > :after)";
        connection.one(select, named! {":after": after}, |row| row.get::<i64>(0))
    };
    assert_eq!((sum(None), sum(Some(3)), sum(None)), (Ok(5), Ok(2), Ok(5)));
    let mut seen = Vec::new();
    let read = connection.each("SELECT n FROM numbers ORDER BY n", NONE, &mut |row| {
        seen.push(row.get::<i64>(0)?);
        Ok(if seen.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    });
    assert_eq!((read, seen), (Ok(()), vec![1, 2, 3]));
}

#[test]
fn a_row_that_the_database_numbers_returns_its_number() {
    let Some(database) = TestDatabase::new() else { return };
    let connection = database.write_connection();
    let connection: &dyn Connection = &connection;
    let insert = "INSERT INTO tokens (number, id, owner_id, hash, hint, name, abilities, created_at, family_id)
         VALUES (?1, ?2, ?3, ?4, 'abcd', 'ci', '', 1, ?2)";
    let numbers: Vec<_> = (1..=2_u8)
        .map(|n| {
            let (id, owner) = (Uuid::from_u128(n.into()), Uuid::from_u128(1));
            connection.insert_numbered("tokens", insert, numbered![None::<i64>, id, owner, [n; 32]])
        })
        .collect();
    assert_eq!(numbers, [Ok(1), Ok(2)]);
    let stored = connection.all("SELECT number FROM tokens ORDER BY id", NONE, |row| row.get::<i64>(0));
    assert_eq!(stored, Ok(vec![1, 2]));
}

#[test]
fn numbers_that_a_transaction_took_in_vain_are_not_given_after_those_of_another_node() {
    let Some(database) = TestDatabase::new() else { return };
    let nodes = [database.write_connection(), database.write_connection()];
    let add = |node: &WriteConnection| {
        node.begin().expect("begun");
        node.numbers.expect(3);
        let insert = "INSERT INTO tokens (number, id, owner_id, hash, hint, name, abilities, created_at, family_id)
             VALUES (?1, ?2, ?3, ?4, 'abcd', 'ci', '', 1, ?2)";
        let (id, owner) = (Uuid::new_v4(), Uuid::from_u128(1));
        let hash = [id.into_bytes(); 2].concat();
        let values = numbered![None::<i64>, id, owner, hash.as_slice()];
        let number = node.insert_numbered("tokens", insert, values).expect("inserted");
        node.commit(&[]).expect("committed");
        number
    };
    assert_eq!([add(&nodes[0]), add(&nodes[1]), add(&nodes[0])], [1, 4, 7]);
}

#[test]
fn a_value_cannot_become_a_part_of_the_statement() {
    let Some(database) = TestDatabase::new() else { return };
    let connection = database.write_connection();
    let connection: &dyn Connection = &connection;
    for text in ["'; DROP TABLE users; --", "NULL", ":id", "$1", "\\'"] {
        let read = connection.one("SELECT :text, ':text'", named! {":text": text}, |row| {
            Ok((row.get::<String>(0)?, row.get::<String>(1)?))
        });
        assert_eq!(read, Ok((text.to_owned(), ":text".to_owned())));
    }
}
