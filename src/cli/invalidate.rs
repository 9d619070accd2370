//! `credcache invalidate`.

use std::{process::ExitCode, time::SystemTime};

use credcache_client::{InvalidateOptions, Invalidated, Target};
use serde_json::json;

use super::{
    connection::ConnectionArgs,
    failure::Failure,
    names,
    output::{self, Format},
    text,
};

pub(super) const EXAMPLES: &str = "\
Once the command has returned, no get returns a matching credential that was put
before.

Examples:
  credcache invalidate aws --key reader
  credcache invalidate aws --key reader --if-version 42
  credcache invalidate oauth --tag prod
  credcache invalidate oauth --all --issued-before 2031-05-01T12:00:00Z";

/// Arguments of `invalidate`.
#[derive(clap::Args, Debug)]
pub struct InvalidateArgs {
    /// The namespace.
    #[arg(value_parser = names::namespace)]
    namespace: String,
    #[command(flatten)]
    target: TargetArgs,
    /// With --key: revoke only this version.
    #[arg(
        long,
        value_name = "VERSION",
        requires = "key",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    if_version: Option<u64>,
    /// From now on, refuse credentials that were issued at or before this time, by RFC 3339 and at
    /// most 5 minutes ahead; by default, credentials that were issued until now.
    #[arg(long, value_name = "TIME", value_parser = text::parse_time)]
    issued_before: Option<SystemTime>,
    /// How to print what was revoked.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct TargetArgs {
    /// Revoke the credential of this key.
    #[arg(long, value_parser = names::key)]
    key: Option<String>,
    /// Revoke every credential whose key starts with this prefix.
    #[arg(long, value_parser = names::prefix)]
    prefix: Option<String>,
    /// Revoke every credential that was put with this tag.
    #[arg(long, value_parser = names::tag)]
    tag: Option<String>,
    /// Revoke every credential of the namespace.
    #[arg(long)]
    all: bool,
}

impl InvalidateArgs {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let target = self.target.into_target(self.if_version)?;
        let mut options = InvalidateOptions::default();
        if let Some(issued_before) = self.issued_before {
            options = options.issued_before(issued_before);
        }
        let client = self.connection.connect().await?;
        let Invalidated {
            removed, revision, ..
        } = client
            .invalidate_with(self.namespace, target, options)
            .await?;
        match self.output {
            Format::Text => output::print(&format!("removed {removed} at revision {revision}"))?,
            Format::Json => {
                output::print_json(&json!({ "removed": removed, "revision": revision }))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl TargetArgs {
    fn into_target(self, if_version: Option<u64>) -> Result<Target, Failure> {
        // `all` isn't a fallback: a whole namespace is revoked only on request.
        Ok(
            match (self.key, self.prefix, self.tag, self.all, if_version) {
                (Some(key), None, None, false, None) => Target::Key(key),
                (Some(key), None, None, false, Some(version)) => Target::KeyVersion(key, version),
                (None, Some(prefix), None, false, None) => Target::KeyPrefix(prefix),
                (None, None, Some(tag), false, None) => Target::Tag(tag),
                (None, None, None, true, None) => Target::All,
                _ => {
                    return Err(Failure::Usage(
                        "give one of --key, --prefix, --tag and --all".into(),
                    ));
                }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClientCommand, parsed};
    use super::*;

    fn target(line: &str) -> Option<Target> {
        match parsed(&format!("credcache invalidate aws {line}")).ok()? {
            ClientCommand::Invalidate(args) => args.target.into_target(args.if_version).ok(),
            command => panic!("{command:?}"),
        }
    }

    #[test]
    fn exactly_one_target_is_required() {
        assert_eq!(target("--key k"), Some(Target::Key("k".into())));
        assert_eq!(target("--prefix p"), Some(Target::KeyPrefix("p".into())));
        assert_eq!(target("--tag t"), Some(Target::Tag("t".into())));
        assert_eq!(target("--all"), Some(Target::All));
        assert_eq!(target(""), None);
        assert_eq!(target("--key k --all"), None);
        assert_eq!(target("--prefix p --tag t"), None);
    }

    #[test]
    fn instant_of_issue_goes_with_any_target() {
        let at = "--issued-before 2031-05-01T12:00:00Z";
        assert_eq!(target(&format!("--all {at}")), Some(Target::All));
        assert_eq!(target(at), None);
        assert_eq!(target("--all --issued-before yesterday"), None);
    }

    #[test]
    fn version_goes_with_a_key_only() {
        assert_eq!(
            target("--key k --if-version 7"),
            Some(Target::KeyVersion("k".into(), 7))
        );
        assert_eq!(target("--tag t --if-version 7"), None);
        assert_eq!(target("--all --if-version 7"), None);
        assert_eq!(target("--if-version 7"), None);
    }
}
