//! What the system and the libraries say, in our words: for reports, for the messages of commands and for the log.

#[cfg(test)]
mod tests;

use std::{error::Error, fmt, io};

/// Why the system refused, in a few words without its error numbers.
pub(crate) fn reason(error: &io::Error) -> String {
    let known = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::IsADirectory => "it is a folder",
        io::ErrorKind::NotADirectory => "a part of the path is not a folder",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        io::ErrorKind::StorageFull => "no space is left",
        io::ErrorKind::AddrInUse => "the address is in use",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has the address",
        _ => {
            let text = error.to_string();
            return match text.split_once(" (os error ") {
                Some((text, _)) => lower_first(text),
                None => text,
            };
        }
    };
    known.to_owned()
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// An error with its causes, joined by colons.
pub(crate) struct Chain<'e>(pub(crate) &'e (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut error = self.0;
        loop {
            match error.downcast_ref::<io::Error>() {
                Some(error) => f.write_str(&reason(error))?,
                None => write!(f, "{error}")?,
            }
            let Some(cause) = error.source() else {
                return Ok(());
            };
            f.write_str(": ")?;
            error = cause;
        }
    }
}
