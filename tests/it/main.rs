//! The server over real sockets: through the library, and as the binary where
//! signals, output and exit codes matter.

mod calls;
mod connections;
mod drain;
mod fixture;
mod listeners;
mod process;
