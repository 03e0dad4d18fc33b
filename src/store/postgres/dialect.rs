//! Statements are written for SQLite. Here they become statements of PostgreSQL: what the two spell differently is replaced, and
//! what only the planner of SQLite reads is left out. Everything else must be valid in both, if need be through a function
//! (schema.postgres.sql).

/// A statement of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) text: String,
    /// The names of its parameters, each once: that of `$1` first.
    pub(super) parameters: Vec<String>,
}

/// Translates a statement.
pub(super) fn translate(statement: &str) -> Translated {
    let mut translated = Translated { text: String::with_capacity(statement.len()), parameters: Vec::new() };
    let mut rest = statement;
    while let Some(token) = Token::first(rest) {
        rest = &rest[token.text.len()..];
        match token {
            Token { kind: Kind::Parameter, text } => translated.push_parameter(text),
            Token { kind: Kind::Word, text } => match replacement(text, rest) {
                Some((replacement, skipped)) => {
                    translated.text.push_str(replacement);
                    rest = &rest[skipped..];
                }
                None => translated.text.push_str(text),
            },
            Token { kind: Kind::Other, text } => translated.text.push_str(text),
        }
    }
    translated
}

impl Translated {
    fn push_parameter(&mut self, name: &str) {
        let known = self.parameters.iter().position(|known| known == name);
        let at = known.unwrap_or_else(|| {
            self.parameters.push(name.to_owned());
            self.parameters.len() - 1
        });
        self.text.push('$');
        self.text.push_str(&(at + 1).to_string());
    }
}

/// What a keyword becomes, and how much of the text after it is left out.
fn replacement(word: &str, rest: &str) -> Option<(&'static str, usize)> {
    match word {
        // INDEXED BY index
        "INDEXED" => {
            let (by, after) = next_word(rest)?;
            let (_, after) = next_word(after).filter(|_| by == "BY")?;
            Some(("", rest.len() - after.len()))
        }
        "NOT" => {
            let (_, after) = next_word(rest).filter(|(word, _)| *word == "INDEXED")?;
            Some(("", rest.len() - after.len()))
        }
        // SQLite keeps the order of tables in a CROSS JOIN, and it may have a condition.
        "CROSS" => {
            let (_, after) = next_word(rest).filter(|(word, _)| *word == "JOIN")?;
            Some(("JOIN", rest.len() - after.len()))
        }
        _ => None,
    }
}

/// The next word, and the text after it.
fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(|c: char| !is_in_word(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `:name`, or `?1`. The text does not have the colon's space, so it is longer than the name by one.
    Parameter,
    Word,
    /// Text in quotes, an operator, white space.
    Other,
}

struct Token<'t> {
    kind: Kind,
    text: &'t str,
}

impl<'t> Token<'t> {
    fn first(text: &'t str) -> Option<Self> {
        let first = text.chars().next()?;
        let word_end = |from: usize| from + text[from..].find(|c: char| !is_in_word(c)).unwrap_or(text.len() - from);
        let (kind, end) = match first {
            // A quote inside is doubled, which reads as two texts.
            '\'' | '"' => (Kind::Other, text[1..].find(first).map_or(text.len(), |end| end + 2)),
            ':' if text[1..].starts_with(':') => (Kind::Other, 2),
            ':' | '?' if text[1..].starts_with(is_in_word) => (Kind::Parameter, word_end(1)),
            first if is_in_word(first) => (Kind::Word, word_end(0)),
            other => (Kind::Other, other.len_utf8()),
        };
        Some(Self { kind, text: &text[..end] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(statement: &str) -> String {
        translate(statement).text
    }

    #[test]
    fn parameters_get_numbers_in_the_order_of_their_first_use() {
        let translated = translate("SELECT :at, :id FROM t WHERE a = :at AND b::text = ':at' AND \":id\" = :id_2");
        assert_eq!(translated.text, "SELECT $1, $2 FROM t WHERE a = $1 AND b::text = ':at' AND \":id\" = $3");
        assert_eq!(translated.parameters, [":at", ":id", ":id_2"]);
    }

    #[test]
    fn what_only_sqlite_reads_is_left_out() {
        assert_eq!(text("FROM t INDEXED BY t_by_a\n WHERE a IS NOT NULL"), "FROM t \n WHERE a IS NOT NULL");
        assert_eq!(text("FROM t NOT INDEXED WHERE NOT a"), "FROM t  WHERE NOT a");
        assert_eq!(text("FROM a CROSS JOIN b ON b.id = a.id"), "FROM a JOIN b ON b.id = a.id");
        assert_eq!(text("SELECT indexed, crossed, cross_join FROM t"), "SELECT indexed, crossed, cross_join FROM t");
    }

    #[test]
    fn texts_stay_as_they_are() {
        for statement in ["SELECT 'it''s INDEXED BY :x' FROM t", "SELECT 'ß', 1 % 2, a <> b", "SELECT 'not closed"] {
            assert_eq!(text(statement), statement);
        }
    }
}
