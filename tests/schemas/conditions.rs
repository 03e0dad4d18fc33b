//! The conditions of a schema's text: those of rows (`CHECK`) and of indexes (`WHERE`). Those of SQLite are put into the words
//! of PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};

/// A table or an index, and a condition.
type Conditions = BTreeSet<(String, String)>;

/// Of each table and column: identifier, bytes, flag, integer or text. SQLite has no types for the first and the third.
pub(crate) fn column_kinds(schema: &str) -> BTreeMap<(String, String), String> {
    let mut kinds = BTreeMap::new();
    for (table, items) in tables(schema) {
        for item in &items {
            let mut words = item.split_whitespace();
            let (Some(name), Some(kind)) = (words.next(), words.next()) else { continue };
            let is_short = |length| checks(item).iter().any(|check| *check == format!("length({name}) = {length}"));
            let kind = match kind {
                "BLOB" if item.contains("REFERENCES") || is_short(16) && table != "attempts" => "identifier",
                "BLOB" => "bytes",
                "INTEGER" if checks(item).contains(&format!("{name} IN (0, 1)")) => "flag",
                "INTEGER" => "integer",
                "TEXT" => "text",
                _ => continue,
            };
            kinds.insert((table.clone(), name.to_owned()), kind.to_owned());
        }
    }
    kinds
}

pub(crate) fn of_sqlite(schema: &str) -> Conditions {
    let kinds = column_kinds(schema);
    let mut conditions = Conditions::new();
    let kind = |table: &str, column: &str| kinds.get(&(table.to_owned(), column.to_owned())).map_or("", String::as_str);
    for (table, items) in tables(schema) {
        let kind = |column: &str| kind(&table, column);
        for check in items.iter().flat_map(|item| checks(item)) {
            let is_of_type = check.strip_suffix(" IN (0, 1)").is_some_and(|column| kind(column) == "flag")
                || length_of(&check).is_some_and(|column| kind(column) == "identifier");
            if !is_of_type {
                conditions.insert((table.clone(), in_postgres(&check, kind)));
            }
        }
    }
    conditions.extend(indexes(schema).into_iter().map(|(index, table, condition)| {
        let flag = condition.strip_suffix(" = 1").filter(|column| kind(&table, column) == "flag");
        let condition = flag.map_or_else(|| distinct(&condition), str::to_owned);
        (index, condition)
    }));
    conditions
}

pub(crate) fn of_postgres(schema: &str) -> Conditions {
    let of_table = |(table, items): (String, Vec<String>)| {
        items.iter().flat_map(|item| checks(item)).map(|check| (table.clone(), check)).collect::<Vec<_>>()
    };
    let of_indexes = indexes(schema).into_iter().map(|(index, _, condition)| (index, condition));
    tables(schema).into_iter().flat_map(of_table).chain(of_indexes).collect()
}

/// The column of a condition `length(column) = 16`.
fn length_of(check: &str) -> Option<&str> {
    check.strip_prefix("length(")?.strip_suffix(") = 16")
}

fn in_postgres<'k>(check: &str, kind: impl Fn(&str) -> &'k str) -> String {
    let mut text = check.replace("length(CAST(", "octet_length(").replace(" AS BLOB))", ")");
    for (at, _) in check.match_indices("length(").collect::<Vec<_>>() {
        let column = check[at + "length(".len()..].split(')').next().unwrap_or_default();
        let length = if kind(column) == "text" { "char_length" } else { "octet_length" };
        text = text.replace(&format!("length({column})"), &format!("{length}({column})"));
    }
    if let Some((column, rest)) = text.split_once(" = 0 OR ")
        && kind(column) == "flag"
    {
        text = format!("NOT {column} OR {rest}");
    }
    one_of(&text).unwrap_or(text)
}

/// `a = 'x' OR a = 'y'` as `a IN ('x', 'y')`.
fn one_of(text: &str) -> Option<String> {
    let choices: Vec<(&str, &str)> = text.split(" OR ").map(|part| part.split_once(" = ")).collect::<Option<_>>()?;
    let (column, _) = *choices.first()?;
    let is_list = choices.len() > 1 && choices.iter().all(|(other, value)| *other == column && value.starts_with('\''));
    let values: Vec<&str> = choices.iter().map(|(_, value)| *value).collect();
    is_list.then(|| format!("{column} IN ({})", values.join(", ")))
}

/// `a IS NOT b` as `a IS DISTINCT FROM b`. NULL is the same in both.
fn distinct(condition: &str) -> String {
    let parts: Vec<&str> = condition.split(" IS NOT ").collect();
    parts[1..].iter().fold(parts[0].to_owned(), |text, part| {
        let between = if part.starts_with("NULL") { " IS NOT " } else { " IS DISTINCT FROM " };
        text + between + part
    })
}

/// The schema without comments, on one line.
fn one_line(schema: &str) -> String {
    let lines: Vec<&str> = schema.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Each index that has a condition, with its table.
fn indexes(schema: &str) -> Vec<(String, String, String)> {
    let text = one_line(schema);
    let statements = text.split(';').filter_map(|statement| {
        let (_, index) = statement.split_once(" INDEX ").filter(|(before, _)| before.contains("CREATE"))?;
        let (head, condition) = index.split_once(" WHERE ")?;
        let (name, rest) = head.split_once(" ON ")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned(), condition.to_owned()))
    });
    statements.collect()
}

/// The tables of a schema, each with its columns and conditions, on one line each.
fn tables(schema: &str) -> Vec<(String, Vec<String>)> {
    let text = one_line(schema);
    let mut tables = Vec::new();
    for part in text.split("CREATE TABLE ").skip(1) {
        let (name, rest) = part.split_once(" (").expect("a table has columns");
        tables.push((name.to_owned(), split(inside(rest))));
    }
    tables
}

/// The text up to the parenthesis that closes an open one.
fn inside(text: &str) -> &str {
    let mut depth = 1;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    panic!("a parenthesis is not closed: {text}")
}

/// The parts between commas that no parenthesis encloses.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        match character {
            ',' if depth == 0 => parts.push(String::new()),
            other => parts.last_mut().expect("never empty").push(other),
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

fn checks(item: &str) -> Vec<String> {
    item.match_indices("CHECK (").map(|(at, check)| inside(&item[at + check.len()..]).trim().to_owned()).collect()
}
