//! One connection: calls go out, answers come in, nothing waits.

use std::{
    collections::HashMap,
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
};

use super::{
    Call,
    frame::{
        self, ACK, DATA, END_HEADERS, END_STREAM, FIRST_WINDOW, GOAWAY, HEAD, HEADERS, Head, PING,
        RST_STREAM, SETTINGS, WINDOW_UPDATE,
    },
    header::Compressor,
};
use crate::failure::Failure;

/// What came in is told to the peer when there is this much of it.
const WINDOW_REFILL: u32 = 1 << 28;

pub(super) struct Connection {
    socket: TcpStream,
    compressor: Compressor,
    out: Vec<u8>,
    input: Vec<u8>,
    /// How much of `input` is filled.
    filled: usize,
    next_stream: u32,
    calls: HashMap<u32, Pending>,
    /// How many bytes of bodies the peer still takes.
    window: i64,
    /// Bytes of bodies that came in and weren't told to the peer.
    untold: u32,
}

/// A call that isn't answered.
struct Pending {
    ticket: Ticket,
    least_answer: usize,
    body: usize,
}

/// What the caller wants back with the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    /// When it was due, in nanoseconds since the start.
    pub(super) due: u64,
    /// Whether it is kept how long the answer took.
    pub(super) measured: bool,
}

impl Connection {
    pub(super) fn open(address: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut out = Vec::new();
        frame::write_greeting(&mut out);
        Ok(Self {
            socket,
            compressor: Compressor::default(),
            out,
            input: vec![0; 1 << 18],
            filled: 0,
            next_stream: 1,
            calls: HashMap::new(),
            window: FIRST_WINDOW.into(),
            untold: 0,
        })
    }

    /// How many calls aren't answered.
    pub(super) fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Whether anything came in that isn't long ago told to the peer.
    pub(super) fn has_received(&self) -> bool {
        self.untold > 0
    }

    /// Queues a call for [`flush`](Self::flush), unless the peer's window has
    /// no room for it.
    pub(super) fn call(&mut self, call: &Call, ticket: Ticket) -> bool {
        let length = i64::try_from(call.body.len()).unwrap_or(i64::MAX);
        if length > self.window {
            return false;
        }
        self.window -= length;
        let stream = self.next_stream;
        self.next_stream += 2;
        let mut headers = Vec::with_capacity(128);
        self.compressor.write(&mut headers, call.path);
        frame::write(&mut self.out, HEADERS, END_HEADERS, stream, &headers);
        frame::write(&mut self.out, DATA, END_STREAM, stream, &call.body);
        let pending = Pending {
            ticket,
            least_answer: call.least_answer,
            body: 0,
        };
        self.calls.insert(stream, pending);
        true
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        match self.socket.write(&self.out) {
            Ok(sent) => {
                self.out.drain(..sent);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes in what is there; `answered` gets each call that is.
    pub(super) fn receive(&mut self, mut answered: impl FnMut(Ticket)) -> Result<(), Failure> {
        match self.socket.read(&mut self.input[self.filled..]) {
            Ok(0) => return Err(wrong("the server closed a connection")),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut at = 0;
        while let Some(head) = Head::read(&self.input[at..self.filled]) {
            let end = at + HEAD + head.length;
            if end > self.filled {
                break;
            }
            if let Some(ticket) = self.frame(head, at + HEAD..end)? {
                answered(ticket);
            }
            at = end;
        }
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(())
    }

    /// The call that this frame ends, if it ends one.
    fn frame(
        &mut self,
        head: Head,
        payload: std::ops::Range<usize>,
    ) -> Result<Option<Ticket>, Failure> {
        let payload = &self.input[payload];
        match head.kind {
            DATA => {
                if let Some(call) = self.calls.get_mut(&head.stream) {
                    call.body += head.length;
                }
                self.untold += u32::try_from(head.length).unwrap_or(u32::MAX);
                if self.untold >= WINDOW_REFILL {
                    frame::write_window_update(&mut self.out, self.untold);
                    self.untold = 0;
                }
            }
            SETTINGS if head.flags & ACK == 0 => frame::write(&mut self.out, SETTINGS, ACK, 0, &[]),
            PING if head.flags & ACK == 0 => frame::write(&mut self.out, PING, ACK, 0, payload),
            WINDOW_UPDATE if head.stream == 0 => {
                let more = payload.first_chunk().copied().map_or(0, u32::from_be_bytes);
                self.window += i64::from(more);
            }
            RST_STREAM => return Err(wrong("a call was reset")),
            GOAWAY => return Err(wrong("the server told to go away")),
            _ => {}
        }
        if !matches!(head.kind, DATA | HEADERS) || head.flags & END_STREAM == 0 {
            return Ok(None);
        }
        match self.calls.remove(&head.stream) {
            Some(call) if call.body >= call.least_answer => Ok(Some(call.ticket)),
            Some(_) => Err(wrong("an error, or an answer that is too short")),
            None => Err(wrong("an answer to no call")),
        }
    }
}

fn wrong(what: &str) -> Failure {
    Failure::WrongAnswer(what.to_owned())
}
