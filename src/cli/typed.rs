//! The parser of the arguments. Its error messages never repeat a wrong argument, which may be a
//! secret in the wrong place.

use std::{env, ffi::OsString, process::ExitCode};

use clap::{
    Command, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{failure::USAGE, output};
use crate::config;

/// The replacement for text that isn't shown.
const HIDDEN: &str = "…";

/// Parses the program's arguments. Help, the version and errors are printed, and only an exit code
/// is returned.
pub(super) fn parse<P: Parser>() -> Result<P, ExitCode> {
    read(env::args_os()).map_err(|error| {
        let text = error.to_string();
        match text.strip_prefix("error: ") {
            Some(message) => output::print_to_stderr(message.trim_end()),
            // Help or version. A reader that left early has seen enough.
            None => drop(error.print()),
        }
        if error.use_stderr() {
            USAGE.into()
        } else {
            ExitCode::SUCCESS
        }
    })
}

pub(super) fn read<P: Parser, T: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = T>,
) -> Result<P, clap::Error> {
    let mut command = without_empty_variables(P::command());
    command
        .try_get_matches_from_mut(args)
        .and_then(|mut matches| P::from_arg_matches_mut(&mut matches))
        .map_err(|error| redact(error.format(&mut command)))
}

/// A variable that is set but empty counts as unset, as it does for the server.
fn without_empty_variables(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_env() {
            Some(variable) if config::is_set_but_empty(variable) => arg.env(None::<&'static str>),
            _ => arg,
        })
        .mut_subcommands(without_empty_variables)
}

fn redact(mut error: clap::Error) -> clap::Error {
    // Tips repeat the argument.
    error.remove(ContextKind::Suggested);
    error.remove(ContextKind::SuggestedCommand);
    error.remove(ContextKind::TrailingArg);
    hide(&mut error, ContextKind::InvalidValue, |value| {
        // An empty value contains no secret, and the message says that it is missing.
        value.is_empty()
    });
    match error.kind() {
        ErrorKind::UnknownArgument => hide(&mut error, ContextKind::InvalidArg, is_flag),
        ErrorKind::InvalidSubcommand if error.get(ContextKind::SuggestedSubcommand).is_none() => {
            hide(&mut error, ContextKind::InvalidSubcommand, |_| false);
        }
        _ => {}
    }
    error
}

fn hide(error: &mut clap::Error, kind: ContextKind, is_public: impl Fn(&str) -> bool) {
    match error.get(kind) {
        Some(ContextValue::String(text)) if !is_public(text) => {
            error.insert(kind, ContextValue::String(HIDDEN.into()));
        }
        _ => {}
    }
}

/// `-x`, or a few lower-case words: no secret looks like this.
fn is_flag(text: &str) -> bool {
    match text.strip_prefix("--") {
        Some(name) => name.len() <= 24 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
        None => text.strip_prefix('-').is_some_and(|name| name.len() == 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    #[test]
    fn what_is_wrong_is_told_without_what_was_typed() {
        const SECRET: &str = "hunter2-Secret";
        for (line, expected) in [
            ("get aws reader SECRET", "unexpected argument"),
            ("get aws reader --output SECRET", "possible values"),
            ("get aws reader --min-ttl SECRET", "a number and a unit"),
            ("get aws reader --SECRET", "unexpected argument"),
            ("get aws reader --SECRET=1", "unexpected argument"),
            ("get aws reader --value=SECRET", "--value"),
            ("get SECRET reader", "a-z0-9._-"),
            ("put aws reader --ttl 1h --lease SECRET", "--lease"),
            ("put aws reader --ttl 1h --attribute SECRET", "NAME=VALUE"),
            ("put aws reader --ttl 1h --if-version SECRET", "invalid"),
            ("put aws reader --ttl 1h --expires-at SECRET", "RFC 3339"),
            ("get aws reader --server SECRET", "port"),
            ("SECRET", "unrecognized subcommand"),
            (
                "fetch aws reader --ttl 1h SECRET -- true",
                "unexpected argument",
            ),
        ] {
            let line = format!("credcache {}", line.replace("SECRET", SECRET));
            let error = read::<Cli, _>(line.split_whitespace())
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{line}: {error}");
            assert!(!error.contains("hunter2"), "{line}: {error}");
        }
    }

    #[test]
    fn what_was_mistyped_is_still_told() {
        for (line, expected) in [
            ("fecth aws reader", "'fetch'"),
            ("get aws reader --outpt json", "'--outpt'"),
            ("get aws reader -x", "'-x'"),
            ("get aws", "<KEY>"),
        ] {
            let line = format!("credcache {line}");
            let error = read::<Cli, _>(line.split_whitespace())
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
