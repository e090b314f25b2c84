//! Tests that the manual and `--help` describe every option and every setting of the code.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory;

use crate::options::Options;
use crate::settings::Settings;

const MANUAL: &str = include_str!("../../docs/sasl-gate.pod");
const EXAMPLE: &str = include_str!("../contrib/sasl-gate.toml");

/// The names of the settings in a table ("", or "[tls]" and the like), as listed by the parser's own error.
fn names_in(table: &str) -> Vec<String> {
    let error = match toml::from_str::<Settings>(&format!("{table}\nno_such_word = 1\n")) {
        Err(error) => error.to_string(),
        Ok(_) => return Vec::new(),
    };
    let Some((_, known)) = error.split_once("unknown field `no_such_word`, expected") else { return Vec::new() };
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// All settings, each with the name of its table.
fn settings() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for word in names_in("") {
        for table in [format!("[{word}]"), format!("[[{word}]]")] {
            all.extend(names_in(&table).into_iter().map(|below| (table.clone(), below)));
        }
        all.push((String::new(), word));
    }
    all
}

fn section(name: &str) -> &'static str {
    let rest = MANUAL.split(&format!("\n=head1 {name}\n")).nth(1).unwrap_or_else(|| panic!("no section {name}"));
    rest.split("\n=head1 ").next().unwrap_or_default()
}

#[test]
fn every_setting_is_in_the_manual_and_in_the_example() {
    let all = settings();
    assert!(all.len() > 30, "{all:?}");
    let manual = section("SETTINGS");
    let mut table = "";
    let mut example = BTreeSet::new();
    for line in EXAMPLE.lines() {
        // What excludes another setting is commented out.
        let line = line.strip_prefix('#').filter(|line| !line.starts_with(' ')).unwrap_or(line);
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.starts_with('[') {
            table = line;
        } else if let Some((word, _)) = line.split_once(" = ") {
            example.insert((table.to_owned(), word.to_owned()));
        }
    }
    for (table, word) in &all {
        assert!(
            manual.contains(&format!("C<{word}>")),
            "docs/sasl-gate.pod does not describe the setting {table} {word}"
        );
        let is_table = table.is_empty()
            && [format!("\n[{word}]"), format!("\n#[{word}]"), format!("\n[[{word}]]")]
                .iter()
                .any(|head| EXAMPLE.contains(head));
        let there = is_table || example.contains(&(table.clone(), word.clone()));
        assert!(there, "gateway/contrib/sasl-gate.toml does not have the setting {table} {word}");
    }
    let tables: BTreeSet<&str> = all.iter().map(|(table, _)| table.as_str()).collect();
    assert!(
        ["", "[tls]", "[backend_tls]", "[limits]", "[[access]]"].iter().all(|table| tables.contains(table)),
        "{tables:?}"
    );
}

#[test]
fn the_example_is_valid() {
    let settings: Settings = toml::from_str(EXAMPLE).unwrap();
    assert_eq!(settings.check(), Ok(()));
}

#[test]
fn every_option_is_in_the_manual() {
    let mut known = BTreeSet::new();
    let command = {
        let mut command = Options::command();
        command.build();
        command
    };
    let options = section("OPTIONS");
    for command in std::iter::once(&command).chain(command.get_subcommands().filter(|sub| sub.get_name() != "help")) {
        let of_command = match command.get_name() {
            "sasl-gate" => options.split("\n=head2 ").next(),
            name => options
                .split(&format!("\n=head2 sasl-gate {name}\n"))
                .nth(1)
                .and_then(|rest| rest.split("\n=head2 ").next()),
        };
        let of_command = of_command
            .unwrap_or_else(|| panic!("docs/sasl-gate.pod does not describe the command {}", command.get_name()));
        for argument in command.get_arguments() {
            let Some(long) = argument.get_long() else { continue };
            assert!(argument.get_help().is_some(), "--help says nothing of --{long}");
            let value = argument.get_value_names().filter(|_| argument.get_action().takes_values());
            let value = value.map_or(String::new(), |names| format!(" I<{}>", names[0]));
            let short = argument.get_short().map_or(String::new(), |short| format!("B<-{short}>, "));
            // Every command has --help; it is described once.
            let item = format!("{short}B<--{long}>{value}");
            let there = of_command.contains(&item) || long == "help" && options.contains(&item);
            assert!(there, "docs/sasl-gate.pod does not describe {item} of {}", command.get_name());
            known.insert(format!("--{long}"));
        }
    }
    assert!(known.len() > 15, "{known:?}");
    let named = MANUAL.split("B<--").skip(1).filter_map(|rest| rest.split('>').next());
    for name in named {
        assert!(known.contains(&format!("--{name}")), "docs/sasl-gate.pod names --{name}, which does not exist");
    }
}

#[test]
fn help_has_every_setting() {
    let help = Options::command().render_long_help().to_string();
    for line in EXAMPLE.lines() {
        assert!(help.contains(line.trim_end()), "{line}");
    }
}

#[test]
fn files_that_the_manual_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in MANUAL.split("F<").skip(1).filter_map(|rest| rest.split('>').next()) {
        assert!(root.join(file).exists(), "{file}");
    }
}

#[test]
fn every_metric_is_in_the_manual() {
    let text = crate::metrics::Metrics::default().text(&Default::default());
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE sasl_gate_")?.split(' ').next()) {
        assert!(
            section("METRICS").contains(&format!("C<{name}>")),
            "docs/sasl-gate.pod does not describe the metric {name}"
        );
    }
}
