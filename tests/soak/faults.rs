//! The faults, one after the other.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::time::sleep;

use crate::{
    issuer::{Issuer, now},
    link::{Link, Which},
    server::Server,
};

/// A time in which no program could reach the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) begun: Duration,
    pub(crate) ended: Duration,
}

pub(crate) struct Faults {
    server: Option<Server>,
    /// The links of the programs that fetch.
    links: [Arc<Link>; 2],
    /// The link of the program that revokes.
    direct: Arc<Link>,
    issuer: Arc<Issuer>,
    pub(crate) outages: Vec<Outage>,
    counts: [usize; 7],
}

impl Faults {
    pub(crate) fn new(
        server: Server,
        links: [Arc<Link>; 2],
        direct: Arc<Link>,
        issuer: Arc<Issuer>,
    ) -> Self {
        Self {
            server: Some(server),
            links,
            direct,
            issuer,
            outages: Vec::new(),
            counts: [0; 7],
        }
    }

    /// Runs all faults in turn, each time in a different order.
    pub(crate) async fn run(&mut self, time: Duration) {
        let mut rng = Rng::with_seed(11);
        let end = now() + time;
        sleep(Duration::from_secs(2)).await;
        let mut kinds = [0, 1, 2, 3, 4, 5, 6];
        while now() < end {
            rng.shuffle(&mut kinds);
            for kind in kinds {
                let lasts = Duration::from_millis(rng.u64(500..2_500));
                let one = rng.usize(..2);
                self.fault(kind, one, lasts).await;
                self.counts[kind] += 1;
                sleep(Duration::from_millis(rng.u64(200..900))).await;
                if now() >= end {
                    break;
                }
            }
        }
    }

    async fn fault(&mut self, kind: usize, one: usize, lasts: Duration) {
        let begun = now();
        match kind {
            // Connections of one program are cut, one or all.
            0 => self.links[one].cut(if one == 0 { Which::All } else { Which::Odd }),
            // One connection of a program stalls.
            1 => {
                self.links[one].stall(Some(Which::Even));
                sleep(lasts).await;
                self.links[one].stall(None);
            }
            // A program's link is slow.
            2 => {
                self.links[one].delay(lasts / 4);
                sleep(lasts).await;
                self.links[one].delay(Duration::ZERO);
            }
            3 => {
                for link in &self.links {
                    link.stall(Some(Which::All));
                }
                sleep(lasts).await;
                self.outage(begun);
                for link in &self.links {
                    link.stall(None);
                }
            }
            4 => {
                for link in &self.links {
                    link.refuse(true);
                    link.cut(Which::All);
                }
                sleep(lasts).await;
                self.outage(begun);
                for link in &self.links {
                    link.refuse(false);
                }
            }
            5 => {
                if let Some(server) = &self.server {
                    server.stop();
                    sleep(lasts).await;
                    server.go_on();
                    self.outage(begun);
                }
            }
            _ => {
                if let Some(server) = self.server.take() {
                    server.kill().await;
                }
                sleep(lasts).await;
                let server = Server::start().await;
                self.issuer.server_forgot();
                self.outages.push(Outage {
                    begun,
                    ended: now(),
                });
                for link in self.links.iter().chain([&self.direct]) {
                    link.lead_to(server.address);
                }
                self.server = Some(server);
            }
        }
    }

    fn outage(&mut self, begun: Duration) {
        self.outages.push(Outage {
            begun,
            ended: now(),
        });
    }

    pub(crate) fn summary(&self) -> String {
        let names = [
            "cut",
            "half stalled",
            "slow",
            "stalled",
            "refused",
            "stopped",
            "killed",
        ];
        let counts = names.iter().zip(self.counts);
        let counts: Vec<_> = counts
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        counts.join(", ")
    }
}
