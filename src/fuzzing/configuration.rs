//! The configuration file.

use toml::{Table, Value};

use crate::config::Config;

/// A file is read as the same settings after it was written in another way, and, setting by setting, from the environment.
/// What is refused is refused with a reason.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let config = match Config::from_text(text, &[]) {
        Ok(config) => config,
        Err(errors) => {
            assert!(!errors.to_string().trim().is_empty(), "{text:?}");
            return;
        }
    };
    let shown = format!("{config:?}");
    let table: Table = text.parse().unwrap_or_else(|error| panic!("only this program accepts {text:?}: {error}"));
    let written = toml::to_string(&table).expect("it was TOML");
    assert_eq!(read(&written, &[]), shown, "{text:?} was written as {written:?}");

    let mut rest = table.clone();
    let mut variables = Vec::new();
    for (section, content) in &mut rest {
        let Value::Table(content) = content else { continue };
        content.retain(|key, value| match environment_text(value) {
            Some(text) => {
                variables.push((format!("PATD__{section}__{key}").to_uppercase(), text));
                false
            }
            None => true,
        });
    }
    let rest = toml::to_string(&rest).expect("it was TOML");
    assert_eq!(read(&rest, &variables), shown, "{text:?} as {rest:?} and {variables:?}");
}

fn read(text: &str, variables: &[(String, String)]) -> String {
    match Config::from_text(text, variables) {
        Ok(config) => format!("{config:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// Lists and tables stay in the file.
fn environment_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(switch) => Some(switch.to_string()),
        _ => None,
    }
}
