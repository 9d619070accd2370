//! `credcache watch`: a line for each event, until somebody ends it.

use std::{process::ExitCode, time::Duration};

use credcache_client::{Event, Target, Watch};
use serde_json::json;
use tokio::time::timeout;

use super::{
    connection::ConnectionArgs,
    failure::Failure,
    interrupts::Interrupts,
    names,
    output::{self, Format},
    shown,
};
use crate::duration;

pub(super) const EXAMPLES: &str = "\
A line is the revision, what happened, and to what; names are quoted, and a value
is never told. After `reset` events were lost, or the server is another instance:
what was derived from earlier lines is void. Ends with 69 when the server goes
away, or says nothing for --timeout, 3 seconds at least; --from goes on where it
stood. Ends with 0 on a signal, and when nobody reads any more.

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
    /// Go on from where an earlier watch stood, instead of from now.
    #[arg(long, value_name = "INSTANCE:REVISION", value_parser = Position::parse)]
    from: Option<Position>,
    /// Print the sign of life too that the server gives every second: all up to
    /// its revision was told.
    #[arg(long)]
    heartbeats: bool,
    /// A line of text, or of JSON, for each event.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// Where a watch stood.
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
    /// Up to this event everything was told.
    fn go_on(stood: &mut Option<Self>, event: &Event) {
        let revision = event.revision();
        match event {
            Event::Reset { instance_id, .. } | Event::Heartbeat { instance_id, .. } => {
                let instance_id = instance_id.clone();
                *stood = Some(Self {
                    instance_id,
                    revision,
                });
            }
            _ => {
                if let Some(stood) = stood {
                    stood.revision = revision;
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
        let mut stood = self.from.clone();
        let mut watch = match stood.clone() {
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
                Err(failure) => return Err(broke_off(failure, stood)),
            };
            Position::go_on(&mut stood, &event);
            if matches!(event, Event::Heartbeat { .. }) && !self.heartbeats {
                continue;
            }
            match self.output {
                Format::Text => output::stream(&describe(&event)).await?,
                Format::Json => {
                    let instance = stood.as_ref().map(|stood| &stood.instance_id[..]);
                    output::stream_json(&json(&event, instance)).await?;
                }
            }
        }
    }

    /// A server that is there says something every second.
    async fn next(&self, watch: &mut Watch) -> Result<Event, Failure> {
        let patience = self.connection.timeout.max(LEAST_PATIENCE);
        match timeout(patience, watch.next()).await {
            Ok(event) => Ok(event?),
            Err(_) => Err(Failure::Silent(format!(
                "{} has said nothing for {}, not even that it is there",
                self.connection.server,
                duration::shown(patience)
            ))),
        }
    }
}

/// Of the heartbeats, which come every second, some may be late.
const LEAST_PATIENCE: Duration = Duration::from_secs(3);

fn broke_off(failure: Failure, stood: Option<Position>) -> Failure {
    match stood {
        Some(stood) => Failure::BrokeOff {
            failure: Box::new(failure),
            position: format!("{}:{}", stood.instance_id, stood.revision),
        },
        None => failure,
    }
}

fn describe(event: &Event) -> String {
    let what = match event {
        // Quoted: a key may hold a line end.
        Event::Invalidated { target, .. } => match target {
            Target::Key(key) | Target::KeyVersion(key, _) => format!("invalidated key {key:?}"),
            Target::KeyPrefix(prefix) => format!("invalidated prefix {prefix:?}"),
            Target::Tag(tag) => format!("invalidated tag {tag:?}"),
            Target::All => "invalidated all".into(),
            _ => "invalidated unknown".into(),
        },
        Event::Replaced { key, version, .. } => format!("replaced key {key:?} version {version}"),
        Event::Reset { instance_id, .. } => {
            format!("reset instance {}", shown::line(instance_id))
        }
        Event::Heartbeat { instance_id, .. } => {
            format!("heartbeat instance {}", shown::line(instance_id))
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
    // With the revision, what --from takes.
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
