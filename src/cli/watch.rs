//! `credcache watch`: prints a line for each event until it is ended.

use std::{process::ExitCode, time::Duration};

use credcache_client::{Event, Target, Watch};
use serde_json::json;
use tokio::time::timeout;

use super::{
    connection::ConnectionArgs,
    escape,
    failure::Failure,
    interrupts::Interrupts,
    names,
    output::{self, Format},
};
use crate::duration;

pub(super) const EXAMPLES: &str = "\
A line contains the revision, the event and its target. Names are quoted, and values
are never printed. `reset` means that events were lost, or that the server is
another instance: discard what was derived from earlier lines. The command ends with
69 when the server goes away, or sends nothing for --timeout, 3 seconds at least;
--from continues at the last position. The command ends with 0 on a signal, and when
stdout has lost its reader.

Examples:
  credcache watch oauth
  credcache watch oauth --output json | jq -r 'select(.event == \"invalidated\") | .key'
  credcache watch oauth --from 5f2c9a7e11d04b36:1042";

/// Arguments of `watch`.
#[derive(clap::Args, Debug)]
pub struct WatchArgs {
    /// The namespace.
    #[arg(value_parser = names::namespace)]
    namespace: String,
    /// Continue from the position of an earlier watch, instead of from now.
    #[arg(long, value_name = "INSTANCE:REVISION", value_parser = Position::parse)]
    from: Option<Position>,
    /// Print heartbeats too, which the server sends every second: everything up to the heartbeat's
    /// revision was sent.
    #[arg(long)]
    heartbeats: bool,
    /// A line of text, or of JSON, for each event.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// The position of a watch: everything up to the revision was received.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Position {
    instance_id: String,
    revision: u64,
}

impl Position {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let position = text.rsplit_once(':').and_then(|(instance_id, revision)| {
            Some(Self {
                instance_id: instance_id.to_owned(),
                revision: revision.parse().ok()?,
            })
        });
        match position {
            Some(position) if !position.instance_id.is_empty() && position.revision > 0 => {
                Ok(position)
            }
            _ => Err("must be INSTANCE:REVISION, as --output json prints them"),
        }
    }
}

impl Position {
    /// Advances the position past a received event.
    fn advance(position: &mut Option<Self>, event: &Event) {
        let revision = event.revision();
        match event {
            Event::Reset { instance_id, .. } | Event::Heartbeat { instance_id, .. } => {
                let instance_id = instance_id.clone();
                *position = Some(Self {
                    instance_id,
                    revision,
                });
            }
            _ => {
                if let Some(position) = position {
                    position.revision = revision;
                }
            }
        }
    }
}

impl WatchArgs {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let mut interrupts = Interrupts::listen()?;
        tokio::select! {
            failed = self.watch() => failed,
            () = output::until_reader_leaves() => Ok(ExitCode::SUCCESS),
            _ = interrupts.next() => Ok(ExitCode::SUCCESS),
        }
    }

    async fn watch(&self) -> Result<ExitCode, Failure> {
        let client = self.connection.connect().await?;
        let mut position = self.from.clone();
        let mut watch = match position.clone() {
            Some(Position {
                instance_id,
                revision,
            }) => {
                let watch = client.watch_from(&self.namespace, instance_id, revision);
                watch.await?
            }
            None => client.watch(&self.namespace).await?,
        };
        loop {
            let event = match self.next(&mut watch).await {
                Ok(event) => event,
                Err(failure) => return Err(watch_ended(failure, position)),
            };
            Position::advance(&mut position, &event);
            if matches!(event, Event::Heartbeat { .. }) && !self.heartbeats {
                continue;
            }
            match self.output {
                Format::Text => output::stream(&describe(&event)).await?,
                Format::Json => {
                    let instance = position.as_ref().map(|at| &at.instance_id[..]);
                    output::stream_json(&json(&event, instance)).await?;
                }
            }
        }
    }

    /// Waits for the next event. The server sends a heartbeat every second.
    async fn next(&self, watch: &mut Watch) -> Result<Event, Failure> {
        let silence_timeout = self.connection.timeout.max(MIN_SILENCE_TIMEOUT);
        match timeout(silence_timeout, watch.next()).await {
            Ok(event) => Ok(event?),
            Err(_) => Err(Failure::Silent(format!(
                "{} has sent nothing for {}, not even a heartbeat",
                self.connection.server,
                duration::format(silence_timeout)
            ))),
        }
    }
}

/// Some of the heartbeats, which come every second, may be late.
const MIN_SILENCE_TIMEOUT: Duration = Duration::from_secs(3);

fn watch_ended(failure: Failure, position: Option<Position>) -> Failure {
    match position {
        Some(position) => Failure::WatchEnded {
            failure: Box::new(failure),
            position: format!("{}:{}", position.instance_id, position.revision),
        },
        None => failure,
    }
}

fn describe(event: &Event) -> String {
    let what = match event {
        // Names are quoted because a key may contain a line end.
        Event::Invalidated { target, .. } => match target {
            Target::Key(key) | Target::KeyVersion(key, _) => format!("invalidated key {key:?}"),
            Target::KeyPrefix(prefix) => format!("invalidated prefix {prefix:?}"),
            Target::Tag(tag) => format!("invalidated tag {tag:?}"),
            Target::All => "invalidated all".into(),
            _ => "invalidated unknown".into(),
        },
        Event::Replaced { key, version, .. } => format!("replaced key {key:?} version {version}"),
        Event::Reset { instance_id, .. } => {
            format!("reset instance {}", escape::line(instance_id))
        }
        Event::Heartbeat { instance_id, .. } => {
            format!("heartbeat instance {}", escape::line(instance_id))
        }
        _ => "unknown".into(),
    };
    format!("{} {what}", event.revision())
}

fn json(event: &Event, instance_id: Option<&str>) -> serde_json::Value {
    let mut json = match event {
        Event::Invalidated { target, .. } => match target {
            Target::Key(key) | Target::KeyVersion(key, _) => json!({ "key": key }),
            Target::KeyPrefix(prefix) => json!({ "key_prefix": prefix }),
            Target::Tag(tag) => json!({ "tag": tag }),
            Target::All => json!({ "all": true }),
            _ => json!({}),
        },
        Event::Replaced { key, version, .. } => json!({ "key": key, "version": version }),
        _ => json!({}),
    };
    json["event"] = match event {
        Event::Invalidated { .. } => "invalidated",
        Event::Replaced { .. } => "replaced",
        Event::Reset { .. } => "reset",
        Event::Heartbeat { .. } => "heartbeat",
        _ => "unknown",
    }
    .into();
    json["revision"] = event.revision().into();
    // `--from` accepts the instance together with the revision.
    if let Some(instance_id) = instance_id {
        json["instance_id"] = instance_id.into();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::super::{ClientCommand, parsed};
    use super::*;

    #[test]
    fn position_is_an_instance_and_a_revision() {
        let line = "credcache watch aws --from 5f2c:1042 --heartbeats --output json";
        let ClientCommand::Watch(args) = parsed(line).unwrap() else {
            panic!("not a watch")
        };
        let position = args.from.unwrap();
        assert_eq!(
            (&position.instance_id[..], position.revision),
            ("5f2c", 1042)
        );
        assert!(args.heartbeats);
        for wrong in ["5f2c", ":1042", "5f2c:", "5f2c:0", "5f2c:-1", "5f2c:now"] {
            assert!(Position::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_event_is_one_line() {
        let invalidated = |target| Event::Invalidated {
            target,
            revision: 7,
        };
        let name = || "role\n\"a\"".to_owned();
        for (event, text) in [
            (
                invalidated(Target::Key(name())),
                r#"7 invalidated key "role\n\"a\"""#,
            ),
            (
                invalidated(Target::KeyPrefix(name())),
                r#"7 invalidated prefix "role\n\"a\"""#,
            ),
            (
                invalidated(Target::Tag("prod".into())),
                r#"7 invalidated tag "prod""#,
            ),
            (invalidated(Target::All), "7 invalidated all"),
            (
                Event::Replaced {
                    key: name(),
                    version: 6,
                    revision: 7,
                },
                r#"7 replaced key "role\n\"a\"" version 6"#,
            ),
            (
                Event::Reset {
                    instance_id: "5f2c".into(),
                    revision: 7,
                },
                "7 reset instance 5f2c",
            ),
        ] {
            assert_eq!(describe(&event), text);
            let json = json(&event, Some("5f2c"));
            assert!(text.contains(json["event"].as_str().unwrap()), "{json}");
            assert_eq!(
                (&json["revision"], &json["instance_id"]),
                (&7.into(), &"5f2c".into())
            );
            assert!(!json.to_string().contains('\n'));
        }
        let all = json(&invalidated(Target::All), None);
        assert_eq!(all["all"], true);
        assert!(all.get("instance_id").is_none());
    }
}
