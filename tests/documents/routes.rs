//! Checks that `docs/api.md` names every route of the API, and `docs/console.md` every page of the console, and no other.

use std::collections::BTreeSet;

use crate::markdown::Document;

/// A route that accepts any method, for checks by proxies.
const ANY: &str = "ANY";

/// The routes that a document names in its tables, as `GET /path`.
fn named(document: &Document) -> BTreeSet<String> {
    let is_route = |code: &str| {
        code.split_once(' ').is_some_and(|(method, path)| {
            method.bytes().all(|byte| byte.is_ascii_uppercase()) && path.starts_with('/') && !path.contains(' ')
        })
    };
    let rows = document.prose.iter().filter(|(_, text)| text.starts_with('|'));
    let first_cells = rows.filter_map(|(_, text)| text.split('|').nth(1));
    first_cells.flat_map(|cell| cell.split('`')).filter(|code| is_route(code)).map(str::to_owned).collect()
}

/// Routes of the server, without HEAD, which every GET route accepts.
fn served<M: AsRef<str>>(routes: &[(M, &'static str)]) -> BTreeSet<String> {
    let takes = |path: &str, method: &str| routes.iter().any(|(other, at)| *at == path && other.as_ref() == method);
    let is_any = |path: &str| ["GET", "POST", "PUT", "PATCH", "DELETE"].iter().all(|method| takes(path, method));
    let methods = routes.iter().filter(|(method, _)| method.as_ref() != "HEAD");
    methods.map(|(method, path)| format!("{} {path}", if is_any(path) { ANY } else { method.as_ref() })).collect()
}

#[test]
fn the_documentation_names_exactly_the_routes_of_the_server() {
    for (file, routes) in [("docs/api.md", patd::http::routes()), ("docs/console.md", patd::http::pages())] {
        let document = Document::parse(file, &std::fs::read_to_string(file).unwrap());
        let (named, served) = (named(&document), served(&routes));
        let missing: Vec<_> = served.difference(&named).collect();
        let unknown: Vec<_> = named.difference(&served).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "not in {file}: {missing:#?}, not a route: {unknown:#?}");
    }
}

#[test]
fn a_route_is_named_in_the_first_cell_of_a_row() {
    let text = "| `GET /a`, `PUT /a/{id}` | `GET /b` |\n`GET /c`\n| `get /d` | |\n";
    let found: Vec<_> = named(&Document::parse("x.md", text)).into_iter().collect();
    assert_eq!(found, ["GET /a", "PUT /a/{id}"]);
}
