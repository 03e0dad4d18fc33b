//! The servers that share the database.

use actix_web::{HttpResponse, http::StatusCode};
use askama::Template;

use super::Frame;
use crate::{
    domain::{
        node::{NodeState, NodeStatus},
        time::Timestamp,
    },
    http::console::{
        layout::Layout,
        page::{PageError, show as show_page},
        person::Person,
        texts::Texts,
        times::When,
    },
    ops::nodes,
};

#[derive(Template)]
#[template(path = "admin_nodes.html")]
struct NodesPage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    class: &'static str,
    state: String,
    behind: u64,
    version: String,
    registered: When,
}

fn row(texts: Texts, node: NodeStatus, now: Timestamp) -> Row {
    let (class, state) = match node.state {
        NodeState::Active => ("live", "admin-node-active"),
        NodeState::Fencing => ("soon", "admin-node-fencing"),
        NodeState::Gone => ("ended", "admin-node-gone"),
    };
    Row {
        name: node.name,
        class,
        state: texts.say(state),
        behind: node.behind,
        version: node.version,
        registered: When::new(texts, node.registered_at, now),
    }
}

/// `GET /console/admin/nodes`.
pub(in crate::http::console) async fn show(person: Person) -> Result<HttpResponse, PageError> {
    person.administrator()?;
    let (texts, ctx) = (person.look.texts, person.ops());
    let now = ctx.clock.now();
    let rows = nodes::list(ctx).await?.into_iter().map(|node| row(texts, node, now)).collect();
    let Frame { layout, tabs } = Frame::of(&person, &texts.say("admin-nodes"));
    Ok(show_page(StatusCode::OK, &NodesPage { layout, tabs, rows }))
}
