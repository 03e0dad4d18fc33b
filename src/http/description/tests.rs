//! The checked-in files are what the code makes, and they describe every route.

use std::{collections::BTreeSet, env, fs};

use serde_json::Value;

use super::{
    document::{document, plain_path},
    older::older,
};
use crate::http::{codes::Code, routes::described_routes};

const FILE: &str = "docs/openapi.json";
const OLDER_FILE: &str = "docs/openapi-3.0.json";

fn text(document: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(document).unwrap())
}

#[test]
fn the_files_are_what_the_code_makes() {
    let document = document();
    for (path, made) in [(FILE, text(&document)), (OLDER_FILE, text(&older(&document)))] {
        if env::var_os("UPDATE").is_some() {
            fs::write(path, made).unwrap();
        } else {
            assert!(
                fs::read_to_string(path).unwrap() == made,
                "run UPDATE=1 cargo test --lib description: {path} is old"
            );
        }
    }
}

#[test]
fn every_route_is_described_with_its_parameters() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let query: BTreeSet<String> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                .collect();
            described.insert((method.clone(), path.clone(), query));
        }
    }
    let routes: BTreeSet<_> = described_routes()
        .into_iter()
        .filter(|(method, ..)| method.as_str() != "HEAD")
        .map(|(method, path, parameters)| {
            let parameters = parameters.iter().map(|name| name.trim_end_matches("[KEY]").to_owned()).collect();
            (method.as_str().to_lowercase(), plain_path(path), parameters)
        })
        .collect();
    let missing: Vec<_> = routes.difference(&described).collect();
    let unknown: Vec<_> = described.difference(&routes).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:#?}, not a route: {unknown:#?}");
}

#[test]
fn every_code_is_the_answer_of_an_operation() {
    let text = document()["components"]["schemas"].to_string();
    for code in Code::ALL {
        assert!(text.contains(&format!("\"{}\"", code.name())), "{}", code.name());
    }
}

/// Operations whose answers are no JSON, or too large or too particular for an example.
const WITHOUT_EXAMPLE: &[&str] = &[
    "exportUser",
    "endSession",
    "start",
    "showUser",
    "healthy",
    "showDescription",
    "showOlderDescription",
    "showReference",
    "showGuide",
    "showModelIndex",
];

#[test]
fn every_operation_has_an_example() {
    let document = document();
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            let success = operation["responses"]
                .as_object()
                .unwrap()
                .iter()
                .find(|(status, _)| status.starts_with('2'))
                .unwrap()
                .1;
            let has_example = success.pointer("/content/application~1json/examples").is_some();
            let needs_one = success.get("content").is_some() && !WITHOUT_EXAMPLE.contains(&id);
            assert_eq!(has_example, needs_one, "{id}");
        }
    }
}
