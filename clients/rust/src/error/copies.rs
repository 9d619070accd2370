//! The error of a message that carried several calls, for each of them.

use std::{error, iter, sync::Arc};

use super::Error;

/// The same error `count` times. The copies share their source.
pub(crate) fn copies(error: Error, count: usize) -> impl Iterator<Item = Error> {
    type BoxedError = Box<dyn error::Error + Send + Sync>;
    let shared = |source: BoxedError| {
        let source: Arc<dyn error::Error + Send + Sync> = source.into();
        move || -> BoxedError { Box::new(source.clone()) }
    };
    let copy: Box<dyn Fn() -> Error + Send> = match error {
        Error::Address(error) => Box::new(move || Error::Address(error)),
        Error::Unreachable(source) => {
            let source = shared(source);
            Box::new(move || Error::Unreachable(source()))
        }
        Error::Disconnected(source) => {
            let source = shared(source);
            Box::new(move || Error::Disconnected(source()))
        }
        Error::DeadlineExceeded => Box::new(|| Error::DeadlineExceeded),
        Error::Expired => Box::new(|| Error::Expired),
        Error::Refused(refusal) => Box::new(move || Error::Refused(refusal.clone())),
        Error::Malformed(what) => Box::new(move || Error::Malformed(what)),
    };
    iter::repeat_with(copy).take(count)
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn copies_of_an_error_are_as_many_and_the_same() {
        let errors = || {
            [
                Error::Unreachable("refused".into()),
                Error::Disconnected("reset".into()),
                Error::DeadlineExceeded,
                Error::Expired,
                Error::Malformed("ttl"),
                Status::aborted("the version differs").into(),
            ]
        };
        for (error, same) in errors().into_iter().zip(errors()) {
            let source = |error: &dyn error::Error| error.source().map(ToString::to_string);
            let copies: Vec<_> = copies(error, 3).collect();
            assert_eq!(copies.len(), 3);
            for copy in copies {
                assert_eq!(copy.to_string(), same.to_string());
                assert_eq!(copy.unavailable(), same.unavailable());
                assert_eq!(source(&copy), source(&same));
            }
        }
    }
}
