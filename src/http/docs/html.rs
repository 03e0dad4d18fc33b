//! Makes a page of a document in Markdown.

use std::collections::BTreeMap;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::guides::GUIDES;

/// The document as HTML. Headings get an id, and so does the code in the first cell of each row of a table, so that a link can
/// lead to one error. A link to another document leads to its page, and one to a file that is not shown is only text.
pub(super) fn of(markdown: &str) -> String {
    let parser = Parser::new_ext(markdown, Options::ENABLE_TABLES);
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut hidden_link = false;
    let mut is_first_cell = false;
    let mut heading = None;
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    for event in parser {
        let event = match event {
            // Comments mark places for tools.
            Event::Html(_) | Event::InlineHtml(_) => continue,
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => match address(&dest_url) {
                Some(address) => Event::Start(Tag::Link { link_type, dest_url: address.into(), title, id }),
                None => {
                    hidden_link = true;
                    continue;
                }
            },
            Event::End(TagEnd::Link) if hidden_link => {
                hidden_link = false;
                continue;
            }
            Event::Start(Tag::TableRow) => {
                is_first_cell = true;
                event
            }
            Event::End(TagEnd::TableCell) => {
                is_first_cell = false;
                event
            }
            // A word that is in two tables leads to the first.
            Event::Code(ref code) if is_first_cell && is_word(code) && !ids.contains_key(&**code) => {
                is_first_cell = false;
                ids.insert(code.to_string(), 1);
                Event::InlineHtml(format!("<code id=\"{code}\">{code}</code>").into())
            }
            Event::Start(Tag::Heading { .. }) => {
                heading = Some((events.len(), String::new()));
                event
            }
            Event::Text(ref text) | Event::Code(ref text) => {
                if let Some((_, title)) = &mut heading {
                    title.push_str(text);
                }
                event
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some((at, title)) = heading.take()
                    && let Event::Start(Tag::Heading { id, .. }) = &mut events[at]
                {
                    *id = Some(CowStr::from(unique(anchor(&title), &mut ids)));
                }
                event
            }
            event => event,
        };
        events.push(event);
    }
    let mut page = String::new();
    html::push_html(&mut page, events.into_iter());
    page
}

fn is_word(code: &str) -> bool {
    !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Where a link leads. `None` for a file that is not shown.
fn address(target: &str) -> Option<String> {
    if target.starts_with('#') || target.starts_with("https://") || target.starts_with("http://") {
        return Some(target.to_owned());
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let name = file.strip_suffix(".md")?;
    let guide = GUIDES.iter().find(|guide| guide.name == name)?;
    let anchor = if anchor.is_empty() { String::new() } else { format!("#{anchor}") };
    Some(format!("/api/docs/{}{anchor}", guide.name))
}

/// The anchor that forges give to a heading, so that the links in the documents work here, too.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The second heading of the same name gets a number.
fn unique(anchor: String, ids: &mut BTreeMap<String, usize>) -> String {
    let count = ids.entry(anchor.clone()).or_default();
    *count += 1;
    match *count {
        1 => anchor,
        count => format!("{anchor}-{}", count - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::codes::Code;

    #[test]
    fn links_lead_to_pages_and_never_to_files_that_are_not_shown() {
        let page = of(
            "# A b, c\n# A b, c\n[x](tokens.md#rotate) [y](../deploy/nginx.conf) [z](https://example.com) <b>bold</b>\n",
        );
        assert!(page.contains(r#"<h1 id="a-b-c">"#) && page.contains(r#"<h1 id="a-b-c-1">"#), "{page}");
        assert!(
            page.contains(r#"<a href="/api/docs/tokens#rotate">x</a> y <a href="https://example.com">z</a>"#),
            "{page}"
        );
        assert!(!page.contains("<b>"), "{page}");
    }

    #[test]
    fn every_link_between_the_guides_has_a_target() {
        let pages: BTreeMap<&str, String> = GUIDES.iter().map(|guide| (guide.name, of(guide.text))).collect();
        let mut links = 0;
        for (name, page) in &pages {
            for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"').map(|(link, _)| link)) {
                let Some((page, anchor)) = link.split_once('#') else { continue };
                let page = page.strip_prefix("/api/docs/").unwrap_or(if page.is_empty() { name } else { "" });
                let Some(target) = pages.get(page) else { continue };
                assert!(target.contains(&format!("id=\"{anchor}\"")), "{name} links to {link}");
                links += 1;
            }
        }
        assert!(links > 50, "{links}");
    }

    #[test]
    fn every_error_has_an_anchor() {
        let guide = GUIDES.iter().find(|guide| guide.name == "errors").unwrap();
        let page = of(guide.text);
        for code in Code::ALL {
            assert_eq!(page.matches(&format!("id=\"{}\"", code.name())).count(), 1, "{}", code.name());
        }
    }
}
