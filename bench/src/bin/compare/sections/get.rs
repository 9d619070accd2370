//! Get, always a hit: credcache between the echo and the ceiling, in several
//! shapes; beside Redis and etcd in those that the targets name.

use prost::Message;

use super::if_there;
use crate::{
    contest::{Contender, Rounds},
    failure::Failure,
    grpc,
    h2load::{AnswerBytes, H2load, Shape},
    peers::{
        etcd::{self, Etcd},
        redis::Redis,
    },
    probe::{self, Probe},
    report::Report,
    servers::{Canned, Server, Stage, Transport},
};

/// Of the shapes the issue of this comparison names.
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
const KEY: &str = "aws/123456789012/role/payments-reader/eu";

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
    canned: Vec<(Canned, Server)>,
    credcache: Server,
    probe: Probe,
    answer_bytes: u64,
}

impl<'a> Lineup<'a> {
    fn start(stage: &'a Stage, transport: Transport, bytes: usize) -> Result<Self, Failure> {
        let credcache = stage.credcache(None)?;
        let probe = Probe::connect(&credcache.address)?;
        let value = probe::value(bytes);
        probe.put(probe::with_region(probe::put_request(KEY, &value)))?;
        let answer = probe.check_get(KEY, &value)?.encode_to_vec();
        Ok(Self {
            stage,
            transport,
            bytes,
            canned: Canned::ALL
                .into_iter()
                .map(|canned| Ok((canned, stage.canned(canned, transport, &answer)?)))
                .collect::<Result<_, Failure>>()?,
            credcache,
            probe,
            answer_bytes: grpc::FRAME_HEAD + answer.len() as u64,
        })
    }

    fn contest(
        &self,
        shape: Shape,
        peers: Option<&Peers>,
        rounds: Rounds,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let Self {
            stage,
            transport,
            bytes,
            ..
        } = *self;
        let load = |server: &Server, answer| {
            let address = server.on(transport);
            let request = probe::get_request(KEY);
            H2load::new(stage.load_core, shape, address, grpc::GET, &request, answer)
        };
        let mut contenders = Vec::new();
        for (canned, server) in &self.canned {
            let load = load(server, AnswerBytes::Exactly(self.answer_bytes))?;
            let load = move |n| load.run(n);
            contenders.push(Contender::new(canned.name(), &server.process, load));
        }
        let credcache = load(&self.credcache, AnswerBytes::AtLeast(bytes as u64))?;
        let load = move |n| {
            let load = || credcache.run(n);
            self.probe.counting(|stats| stats.hits, n, load)
        };
        contenders.push(Contender::new("credcache", &self.credcache.process, load));
        if let Some(peers) = peers {
            contenders.extend(peers.contenders(self, shape)?);
        }
        let section = match transport {
            Transport::Tcp => "get",
            Transport::Unix => "unix",
        };
        let case = format!("{}, {shape}", size(bytes));
        rounds.contest(report, (section, &case), "Gets/s", contenders)
    }

    /// Whether the answers are what they were.
    fn check(&self) -> Result<(), Failure> {
        self.probe.check_get(KEY, &probe::value(self.bytes))?;
        if self.transport == Transport::Tcp {
            for (_, server) in &self.canned {
                Probe::connect(&server.address)?.check_get(KEY, &probe::value(self.bytes))?;
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
        let value = || probe::value(BESIDE_PEERS_BYTES);
        let redis = Redis::start(stage).and_then(|redis| {
            redis.fill([(KEY.to_owned(), value())])?;
            Ok(redis)
        });
        let etcd = (transport == Transport::Tcp).then(|| {
            let etcd = Etcd::start(stage)?;
            etcd.put(KEY, &value())?;
            Ok(etcd)
        });
        Ok(Self {
            redis: if_there(report, "Redis GET", redis)?,
            etcd: match etcd {
                Some(etcd) => if_there(report, "etcd Range", etcd)?,
                None => None,
            },
        })
    }

    fn contenders(&self, lineup: &Lineup<'_>, shape: Shape) -> Result<Vec<Contender<'_>>, Failure> {
        let mut contenders = Vec::new();
        let core = lineup.stage.load_core;
        if let Some(redis) = &self.redis {
            let over = (lineup.transport, REDIS_CONNECTIONS);
            let load = move |n| redis.load(core, over, n, &["GET", KEY], 1);
            let subject = format!("Redis GET, {REDIS_CONNECTIONS} connections");
            contenders.push(Contender::new(subject, &redis.process, load));
        }
        if let Some(etcd) = &self.etcd {
            let load = H2load::new(
                core,
                shape,
                &etcd.address,
                etcd::RANGE,
                &etcd::range(KEY),
                AnswerBytes::AtLeast(BESIDE_PEERS_BYTES as u64),
            )?;
            let load = move |n| load.run(n);
            contenders.push(Contender::new("etcd Range", &etcd.process, load));
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
