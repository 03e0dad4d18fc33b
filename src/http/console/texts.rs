//! What the pages say, in the languages that there are. The texts are in `texts/`, one file for each language, in the format of
//! Project Fluent.

use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

/// The languages: their codes, their texts, and whether they are written from right to left. The first one is that of
/// people who prefer none of them.
const LANGUAGES: [(&str, &str, bool); 2] =
    [("en", include_str!("texts/en.ftl"), false), ("de", include_str!("texts/de.ftl"), false)];

static BUNDLES: LazyLock<Vec<FluentBundle<FluentResource>>> =
    LazyLock::new(|| LANGUAGES.iter().map(|(code, texts, _)| bundle(code, texts)).collect());

fn bundle(code: &str, texts: &str) -> FluentBundle<FluentResource> {
    let language: LanguageIdentifier = code.parse().expect("a language");
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    // Pages put names into <bdi>.
    bundle.set_use_isolating(false);
    let resource = FluentResource::try_new(texts.to_owned()).unwrap_or_else(|(_, errors)| panic!("{code}: {errors:?}"));
    bundle.add_resource(resource).unwrap_or_else(|errors| panic!("{code}: {errors:?}"));
    bundle
}

/// The texts in one language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Texts(usize);

impl Texts {
    /// The first language of `Accept-Language` (RFC 9110, section 12.5.4) that there is.
    pub(super) fn preferred(accepted: &str) -> Self {
        let mut best = (0.0, 0);
        for range in accepted.split(',') {
            let (tag, quality) = range
                .split_once(";q=")
                .map_or((range, 1.0), |(tag, quality)| (tag, quality.trim().parse().unwrap_or(0.0)));
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let known = LANGUAGES.iter().position(|(code, ..)| code.eq_ignore_ascii_case(primary));
            if let Some(language) = known.filter(|_| quality > best.0) {
                best = (quality, language);
            }
        }
        Self(best.1)
    }

    /// The code of the language.
    pub(super) const fn code(self) -> &'static str {
        LANGUAGES[self.0].0
    }

    /// The direction of the language, as HTML names it.
    pub(super) const fn direction(self) -> &'static str {
        if LANGUAGES[self.0].2 { "rtl" } else { "ltr" }
    }

    /// A text.
    pub(super) fn say(self, id: &str) -> String {
        self.format(id, None)
    }

    /// A text with a number `count`.
    pub(super) fn count(self, id: &str, count: impl Into<FluentValue<'static>>) -> String {
        self.with(id, "count", count)
    }

    /// A text with one value.
    pub(super) fn with<'v>(self, id: &str, name: &'static str, value: impl Into<FluentValue<'v>>) -> String {
        let mut values = FluentArgs::new();
        values.set(name, value);
        self.format(id, Some(&values))
    }

    /// The name of a text that a page needs is in every language, which a test checks.
    fn format(self, id: &str, values: Option<&FluentArgs<'_>>) -> String {
        let bundle = &BUNDLES[self.0];
        let Some(pattern) = bundle.get_message(id).and_then(|message| message.value()) else {
            debug_assert!(false, "there is no text {id}");
            return id.to_owned();
        };
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, values, &mut errors).into_owned();
        debug_assert!(errors.is_empty(), "{id}: {errors:?}");
        text
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
        path::Path,
    };

    use super::*;

    #[test]
    fn the_best_language_that_there_is_counts() {
        for (accepted, code) in [
            ("", "en"),
            ("de", "de"),
            ("de-CH, en;q=0.9", "de"),
            ("en;q=0.8, de;q=0.9", "de"),
            ("fr, de;q=0.5, en;q=0.4", "de"),
            ("fr, *", "en"),
            ("de;q=0, en;q=0.1", "en"),
            ("de;q=x", "en"),
        ] {
            assert_eq!(Texts::preferred(accepted).code(), code, "{accepted}");
        }
    }

    /// The texts of a language: the id of each, and the names of its values.
    fn texts(source: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut texts = BTreeMap::new();
        let mut id = String::new();
        for line in source.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, _)) =
                line.split_once(" =").filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase()))
            {
                id = name.to_owned();
            }
            let values: &mut BTreeSet<String> = texts.entry(id.clone()).or_default();
            values.extend(
                line.split('$').skip(1).map(|rest| {
                    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
                }),
            );
        }
        texts.remove("");
        texts
    }

    #[test]
    fn every_language_has_the_same_texts_with_the_same_values() {
        let [first, others @ ..] = &LANGUAGES;
        for (code, source, _) in others {
            let (wanted, found) = (texts(first.1), texts(source));
            assert!(wanted.len() > 100, "the texts were read");
            assert_eq!(
                wanted.keys().collect::<BTreeSet<_>>(),
                found.keys().collect::<BTreeSet<_>>(),
                "{code} has the texts of {}",
                first.0
            );
            assert_eq!(wanted, found, "{code}");
        }
    }

    /// The texts of all source files and templates of the console.
    fn sources(directory: &Path, into: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|end| end == "rs" || end == "html") {
                into.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn the_pages_use_exactly_the_texts_that_there_are() {
        let mut source = String::new();
        sources(Path::new("src/http/console"), &mut source);
        let ids = texts(LANGUAGES[0].1);
        let unused: Vec<_> = ids.keys().filter(|id| !source.contains(&format!("\"{id}\""))).collect();
        assert!(unused.is_empty(), "no page uses {unused:?}");
        let mut asked = BTreeSet::new();
        for call in ["say(\"", "count(\"", "with(\""] {
            asked.extend(
                source.split(call).skip(1).filter_map(|rest| rest.split_once('"')).map(|(id, _)| id.to_owned()),
            );
        }
        asked.retain(|id| {
            id.contains('-') && id.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit())
        });
        let missing: Vec<_> = asked.iter().filter(|id| !ids.contains_key(*id)).collect();
        assert!(missing.is_empty(), "there is no text {missing:?}");
        assert!(asked.len() > 50, "the calls were found");
    }
}
