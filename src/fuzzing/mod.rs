//! What must hold for every input: one function for each kind of bytes that reach this program from outside.
//!
//! `fuzz/` calls these functions with random bytes, and the tests call them with the inputs that are kept in `fuzz/corpus`.
//! Each compares the parser with a simple model of it, or with the way back: what is accepted is valid, and what was
//! written is read as the same. Inputs are lines of text, so that they can be read and written by hand.

mod authorization_header;
mod client_address;
mod configuration;
mod credential;
mod cursor;
mod form;
mod lines;
mod request_path;
mod trail;

pub use self::{
    authorization_header::authorization_header, client_address::client_address, configuration::configuration,
    credential::credential, cursor::cursor, form::form, request_path::request_path, trail::trail,
};

/// A property of all inputs. It panics if an input does not have it.
pub type Property = fn(&[u8]);

/// All properties, each with the name of its target and of the directory of its inputs.
pub const PROPERTIES: [(&str, Property); 8] = [
    ("authorization_header", authorization_header),
    ("client_address", client_address),
    ("configuration", configuration),
    ("credential", credential),
    ("cursor", cursor),
    ("form", form),
    ("request_path", request_path),
    ("trail", trail),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");

    fn names(directory: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn every_property_holds_for_the_kept_inputs() {
        for (name, property) in PROPERTIES {
            let directory = Path::new(CORPUS).join(name);
            let inputs = names(&directory);
            assert!(!inputs.is_empty(), "{name}");
            for input in inputs {
                let path = directory.join(input);
                eprintln!("{}", path.display());
                property(&fs::read(path).unwrap());
            }
        }
    }

    #[test]
    fn each_property_has_inputs_and_a_target() {
        let expected: BTreeSet<_> = PROPERTIES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names(Path::new(CORPUS)), expected);
        let targets = names(&Path::new(CORPUS).with_file_name("targets"));
        assert_eq!(targets, expected.iter().map(|name| format!("{name}.rs")).collect());
        for name in expected {
            let target = Path::new(CORPUS).with_file_name("targets").join(format!("{name}.rs"));
            assert!(fs::read_to_string(target).unwrap().contains(&format!("patd::fuzzing::{name}(")), "{name}");
        }
    }
}
