//! Get, always a hit: credcache between the echo and the ceiling, in several
//! shapes; beside Redis and etcd in those that the targets name.

use super::filled::Filled;
use crate::{
    contest::{Contender, Rounds},
    failure::Failure,
    grpc,
    h2load::{AnswerBytes, H2load, Shape},
    peers::{
        etcd::{self, Etcd},
        redis::Redis,
    },
    probe::{self, KEY, Probe},
    report::Report,
    servers::{CANNED, Canned, Server, Stage, Transport},
};

const SHAPES: [Shape; 5] = [
    Shape::new(1, 1),
    Shape::new(10, 1),
    Shape::new(50, 1),
    Shape::new(1, 100),
    Shape::new(10, 10),
];
/// Beside the peers: as Redis is usually measured, and as gRPC is at its best.
const BESIDE_PEERS: [Shape; 2] = [Shape::new(50, 1), Shape::new(10, 10)];
const BESIDE_PEERS_BYTES: usize = 1024;
const REDIS_CONNECTIONS: u32 = 50;

pub(super) fn over_tcp(stage: &Stage, rounds: Rounds, report: &mut Report) -> Result<(), Failure> {
    for bytes in [BESIDE_PEERS_BYTES, 64] {
        let lineup = Lineup::start(stage, Transport::Tcp, bytes)?;
        let peers = match bytes {
            BESIDE_PEERS_BYTES => Some(Peers::start(stage, Transport::Tcp, report)?),
            _ => None,
        };
        for shape in SHAPES {
            let peers = peers.as_ref().filter(|_| BESIDE_PEERS.contains(&shape));
            lineup.contest(shape, peers, rounds, report)?;
        }
        lineup.check()?;
    }
    Ok(())
}

pub(super) fn over_unix(stage: &Stage, rounds: Rounds, report: &mut Report) -> Result<(), Failure> {
    let lineup = Lineup::start(stage, Transport::Unix, BESIDE_PEERS_BYTES)?;
    let peers = Peers::start(stage, Transport::Unix, report)?;
    for shape in BESIDE_PEERS {
        lineup.contest(shape, Some(&peers), rounds, report)?;
    }
    lineup.check()
}

/// credcache with its credential, and those that know its answer.
struct Lineup<'a> {
    stage: &'a Stage,
    transport: Transport,
    bytes: usize,
    canned: Vec<(&'static Canned, Server)>,
    credcache: Filled,
}

impl<'a> Lineup<'a> {
    fn start(stage: &'a Stage, transport: Transport, bytes: usize) -> Result<Self, Failure> {
        let credcache = Filled::start(stage, bytes)?;
        let canned = CANNED.iter().map(|canned| {
            let server = stage.canned(canned, transport, &credcache.answer)?;
            Ok((canned, server))
        });
        Ok(Self {
            stage,
            transport,
            bytes,
            canned: canned.collect::<Result<_, Failure>>()?,
            credcache,
        })
    }

    fn contest(
        &self,
        shape: Shape,
        peers: Option<&Peers>,
        rounds: Rounds,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let load = |server: &Server, answer| {
            let place = (server.on(self.transport), grpc::GET);
            let request = probe::get_request(KEY);
            H2load::new(self.stage.load_core, shape, place, &request, answer)
        };
        let Filled {
            server,
            probe,
            answer,
        } = &self.credcache;
        let mut contenders = Vec::new();
        let whole = AnswerBytes::Exactly(grpc::FRAME_HEAD + answer.len() as u64);
        for (canned, server) in &self.canned {
            let load = load(server, whole)?;
            contenders.push(Contender::new(canned.name, &server.process, move |n| {
                load.run(n)
            }));
        }
        let load = load(server, AnswerBytes::AtLeast(self.bytes as u64))?;
        let load = move |n| probe.counting(|stats| stats.hits, n, || load.run(n));
        contenders.push(Contender::new("credcache", &server.process, load));
        if let Some(peers) = peers {
            contenders.extend(peers.contenders(self, shape)?);
        }
        let section = match self.transport {
            Transport::Tcp => "get",
            Transport::Unix => "unix",
        };
        let case = format!("{}, {shape}", size(self.bytes));
        rounds.contest(report, (section, &case), "Gets/s", contenders)
    }

    /// Whether the answers are what they were.
    fn check(&self) -> Result<(), Failure> {
        let value = probe::value(self.bytes);
        self.credcache.probe.check_get(KEY, &value)?;
        if self.transport == Transport::Tcp {
            for (_, server) in &self.canned {
                Probe::connect(&server.address)?.check_get(KEY, &value)?;
            }
        }
        Ok(())
    }
}

/// Those that are installed, with the same value.
struct Peers {
    redis: Option<Redis>,
    etcd: Option<Etcd>,
}

impl Peers {
    fn start(stage: &Stage, transport: Transport, report: &mut Report) -> Result<Self, Failure> {
        let value = probe::value(BESIDE_PEERS_BYTES);
        let etcd = match transport {
            Transport::Tcp => report.if_there("etcd Range", Etcd::with(stage, KEY, &value))?,
            Transport::Unix => None,
        };
        let redis = Redis::filled(stage, [(KEY.to_owned(), value)]);
        let redis = report.if_there("Redis GET", redis)?;
        Ok(Self { redis, etcd })
    }

    fn contenders(&self, lineup: &Lineup<'_>, shape: Shape) -> Result<Vec<Contender<'_>>, Failure> {
        let mut contenders = Vec::new();
        if let Some(redis) = &self.redis {
            let over = (lineup.transport, REDIS_CONNECTIONS);
            let load = move |n| redis.load(over, n, &["GET", KEY], 1);
            let subject = format!("Redis GET, {REDIS_CONNECTIONS} connections");
            contenders.push(Contender::new(subject, &redis.peer.process, load));
        }
        if let Some(Etcd { peer, address, .. }) = &self.etcd {
            let place = (address.as_str(), etcd::RANGE);
            let answer = AnswerBytes::AtLeast(BESIDE_PEERS_BYTES as u64);
            let request = etcd::range(KEY);
            let load = H2load::new(lineup.stage.load_core, shape, place, &request, answer)?;
            contenders.push(Contender::new("etcd Range", &peer.process, move |n| {
                load.run(n)
            }));
        }
        Ok(contenders)
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        1024 => "1 KiB".to_owned(),
        bytes => format!("{bytes} B"),
    }
}
