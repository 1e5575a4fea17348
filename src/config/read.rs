//! One TOML text over what is already there: keys that are known and of the right type are taken, all else is a mistake.

use super::mistake::{Document, Mistake, Origin, is_secret, quoted};
use super::nearest::nearest;
use super::raw::{Expect, Form, Given, Leaf, Raw, Source, Table, Value};
use crate::detect::Defect;
use crate::ids::SourceId;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with its place.
type Item<'i> = Spanned<DeValue<'i>>;

/// Takes `document` over `raw`. Whether it was no TOML in places.
pub(super) fn document(document: &Arc<Document>, raw: &mut Raw, mistakes: &mut Vec<Mistake>) -> bool {
    let (table, errors) = DeTable::parse_recoverable(&document.text);
    let mut reader = Reader { document, found: Vec::new() };
    for error in &errors {
        let origin = reader.origin(error.span().unwrap_or(0..0));
        // What "literal string" means is not for people; the cure says it.
        let message = error.message().trim_end_matches(", expected literal string");
        reader.found.push(Mistake::new(&origin, "", format!("is no TOML: {message}"), cure(message)));
    }
    let broken: Vec<_> = reader.found.iter().map(line).collect();
    reader.root(table.get_ref(), raw);
    // The parser guesses on after a syntax error; what it guessed on that line is no news.
    let read = reader.found.split_off(errors.len());
    mistakes.append(&mut reader.found);
    mistakes.extend(read.into_iter().filter(|mistake| !broken.contains(&line(mistake))));
    !errors.is_empty()
}

fn line(mistake: &Mistake) -> usize {
    match mistake.place {
        super::Place::File { line, .. } => line,
        _ => 0,
    }
}

/// What to do about an error of the TOML parser.
fn cure(message: &str) -> String {
    let cure = match message {
        m if m.starts_with("string values must be quoted") => "the value in quotes, such as site = \"studio-4\"",
        m if m.starts_with("duplicate key") => "each key and each [table] once",
        m if m.starts_with("missing opening quote") || m.contains("quote") => "a quote at both ends of the value",
        _ => "[table] lines and key = \"value\" lines",
    };
    cure.to_owned()
}

struct Reader<'a> {
    document: &'a Arc<Document>,
    found: Vec<Mistake>,
}

impl Reader<'_> {
    fn origin(&self, span: Range<usize>) -> Origin {
        Origin::File(self.document.clone(), span)
    }

    fn wrong(&mut self, span: Range<usize>, path: &str, wrong: String, right: String) {
        let origin = self.origin(span);
        self.found.push(Mistake::new(&origin, path, wrong, right));
    }

    fn root(&mut self, table: &DeTable<'_>, raw: &mut Raw) {
        for (name, item) in table {
            let key: &str = name.get_ref();
            if key == "source" {
                self.sources(item, &mut raw.sources);
                continue;
            }
            let elsewhere = homes(raw, key);
            let mut tables = raw.tables();
            let known: Vec<&str> = tables.iter().map(|table| table.name).chain(["source"]).collect();
            match tables.iter_mut().find(|table| table.name == key) {
                Some(table) => self.table(item, key, &mut table.leaves, |key| homes(&mut Raw::default(), key)),
                None => self.unknown(name.span(), key, key, &known, elsewhere),
            }
        }
    }

    /// A table whose keys all are leaves.
    fn table(&mut self, item: &Item<'_>, path: &str, leaves: &mut [&mut Leaf], homes: impl Fn(&str) -> Option<String>) {
        let Some(table) = self.as_table(item, path) else { return };
        for (name, item) in table {
            let path = format!("{path}.{}", name.get_ref());
            self.leaf(name, item, &path, leaves, &homes);
        }
    }

    fn leaf(
        &mut self,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        item: &Item<'_>,
        path: &str,
        leaves: &mut [&mut Leaf],
        homes: &impl Fn(&str) -> Option<String>,
    ) {
        let key: &str = name.get_ref();
        let known: Vec<&str> = leaves.iter().map(|leaf| leaf.key.name).collect();
        let Some(leaf) = leaves.iter_mut().find(|leaf| leaf.key.name == key) else {
            return self.unknown(name.span(), path, key, &known, homes(key));
        };
        let value = match (leaf.key.form, item.get_ref()) {
            (Form::Switch, DeValue::Boolean(on)) => Value::Switch(*on),
            (Form::Switch, other) => {
                return self.wrong(
                    item.span(),
                    path,
                    format!("{} is not true or false", kind(other)),
                    leaf.key.form.right(),
                );
            }
            (Form::States | Form::Marks, DeValue::Array(items)) if items.iter().all(|item| item.get_ref().is_str()) => {
                let names: Vec<&str> = items.iter().filter_map(|item| item.get_ref().as_str()).collect();
                Value::Text(names.join(","))
            }
            (form @ (Form::States | Form::Marks), other) => {
                let wrong = format!("{} is not a list of texts in quotes", kind(other));
                return self.wrong(item.span(), path, wrong, form.right());
            }
            (_, DeValue::String(text)) => Value::Text(text.to_string()),
            (form, other) => {
                let what = if is_secret(key) { "the value".to_owned() } else { kind(other) };
                return self.wrong(item.span(), path, format!("{what} is not a text in quotes"), form.right());
            }
        };
        leaf.given = Some(Given { value, path: path.to_owned(), origin: self.origin(item.span()) });
    }

    fn sources(&mut self, item: &Item<'_>, sources: &mut Vec<Source>) {
        let DeValue::Array(items) = item.get_ref() else {
            let wrong = format!("{} is not a list of sources", kind(item.get_ref()));
            return self.wrong(item.span(), "source", wrong, "[[source]] in double brackets, one for each".to_owned());
        };
        for (number, item) in items.iter().enumerate() {
            let path = format!("source[#{}]", number + 1);
            if let Some(table) = self.as_table(item, &path) {
                self.source(table, item.span(), path, sources);
            }
        }
    }

    fn source(&mut self, table: &DeTable<'_>, span: Range<usize>, path: String, sources: &mut Vec<Source>) {
        let id = table.get("id").and_then(|item| Some((item.get_ref().as_str()?, item.span())));
        let named = id.as_ref().filter(|(id, _)| SourceId::new(id).is_ok());
        let path = named.map_or(path, |(id, _)| format!("source[{id}]"));
        let known = named.and_then(|_| sources.iter().position(|source| source.path == path));
        let here = self.document.layer;
        let at = match (known, &id) {
            (Some(at), Some((id, span))) if matches!(&sources[at].seen(), Some(layer) if *layer == here) => {
                let right = "another id: each source of a file has its own".to_owned();
                self.wrong(
                    span.clone(),
                    &format!("{path}.id"),
                    format!("{} is already the id of a source", quoted(id)),
                    right,
                );
                at
            }
            (Some(at), _) => at,
            (None, _) => {
                sources.push(Source::new(path, self.origin(span)));
                sources.len() - 1
            }
        };
        self.source_keys(table, &mut sources[at]);
    }

    fn source_keys(&mut self, table: &DeTable<'_>, source: &mut Source) {
        let path = source.path.clone();
        for (name, item) in table {
            let key: &str = name.get_ref();
            let path = format!("{path}.{key}");
            if key == "detect" {
                self.detect(item, &path, source);
            } else if key == "expect" {
                self.expect(item, &path, source);
            } else if source.keys.leaves().iter().any(|leaf| leaf.key.name == key) {
                self.leaf(name, item, &path, &mut source.keys.leaves(), &|_| None);
            } else {
                let mut leaves = source.keys.leaves();
                let known: Vec<&str> =
                    leaves.iter_mut().map(|leaf| leaf.key.name).chain(["detect", "expect"]).collect();
                let defect = Defect::ALL.iter().any(|defect| defect.name() == key);
                let home =
                    if defect { Some(format!("[source.detect.{key}]")) } else { homes(&mut Raw::default(), key) };
                self.unknown(name.span(), &path, key, &known, home);
            }
        }
    }

    /// Hours of several files stand side by side.
    fn expect(&mut self, item: &Item<'_>, path: &str, source: &mut Source) {
        let DeValue::Array(items) = item.get_ref() else {
            let wrong = format!("{} is not a list of hours", kind(item.get_ref()));
            return self.wrong(item.span(), path, wrong, "[[source.expect]] in double brackets".to_owned());
        };
        for item in items {
            let path = format!("{path}[#{}]", source.expect.len() + 1);
            let mut expect = Expect::default();
            self.table(item, &path, &mut expect.leaves(), |_| None);
            source.expect.push((path, self.origin(item.span()), expect));
        }
    }

    fn detect(&mut self, item: &Item<'_>, path: &str, source: &mut Source) {
        let Some(table) = self.as_table(item, path) else { return };
        let known = Defect::ALL.map(Defect::name);
        for (name, item) in table {
            let key: &str = name.get_ref();
            let path = format!("{path}.{key}");
            match known.iter().position(|name| *name == key) {
                Some(at) => self.table(item, &path, &mut source.detect_leaves(Defect::ALL[at]), |_| None),
                None => self.unknown(name.span(), &path, key, &known, None),
            }
        }
    }

    fn as_table<'i, 'v>(&mut self, item: &'v Item<'i>, path: &str) -> Option<&'v DeTable<'i>> {
        let table = item.get_ref().as_table();
        if table.is_none() {
            let wrong = format!("{} is not a table", kind(item.get_ref()));
            let right = match path.split_once('[') {
                None => format!("[{path}] and its keys below"),
                Some((_, source)) => match source.split_once("].") {
                    None => "[[source]] and its keys below".to_owned(),
                    Some((_, key)) => format!("[source.{key}] and its keys below"),
                },
            };
            self.wrong(item.span(), path, wrong, right);
        }
        table
    }

    fn unknown(&mut self, span: Range<usize>, path: &str, key: &str, known: &[&str], home: Option<String>) {
        let right = match (home, nearest(key, known.iter().copied())) {
            (Some(home), _) => format!("{home} is where {key} belongs"),
            (None, Some(name)) => format!("did you mean {name}?"),
            (None, None) => format!("known here: {}", known.join(", ")),
        };
        self.wrong(span, path, "no such key".to_owned(), right);
    }
}

impl Source {
    /// The newest layer that gave its id.
    fn seen(&self) -> Option<usize> {
        match &self.keys.id.given.as_ref()?.origin {
            Origin::File(document, _) => Some(document.layer),
            _ => None,
        }
    }
}

/// The one table that has a key of this name, as a person would write it.
fn homes(raw: &mut Raw, key: &str) -> Option<String> {
    let tables = raw.tables();
    let mut homes = tables.iter().filter(|table| table.leaves.iter().any(|leaf| leaf.key.name == key));
    match (homes.next(), homes.next()) {
        (Some(table), None) => Some(format!("[{}]", table.name)),
        _ => None,
    }
}

/// "the number 5", "a list": what a value is, for people.
fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(on) => format!("the switch {on}"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
