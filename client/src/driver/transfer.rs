//! The two loops of a connection: bytes in, bytes out.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use leveret_wire::native::FrameLimits;

use super::connection::Shared;
use super::rt::{Reader, Writer};
use crate::Error;
use crate::core::{FrameBuffer, drop_written};

/// Reads and delivers until the connection ends; returns why it did.
pub(super) async fn read_frames(mut socket: Reader, limits: FrameLimits, shared: &Shared) -> Error {
    let mut buffer = FrameBuffer::new(limits);
    let mut frames = Vec::new();
    loop {
        match socket.read(buffer.space()).await {
            Ok(0) if buffer.has_spoken() => {
                return Error::Disconnected("the broker closed it".into());
            }
            Ok(0) => {
                let reason = "it was closed without an answer: another server than a Leveret \
                              broker, another protocol's port, or a broker that is stopping";
                return Error::Disconnected(reason.into());
            }
            Ok(_) => {}
            Err(error) => return Error::Disconnected(error.to_string().into()),
        }
        let broken = loop {
            match buffer.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break None,
                Err(error) => break Some(buffer.explain(error)),
            }
        };
        if let Err(error) = shared.handle_frames(&mut frames) {
            return error;
        }
        if let Some(error) = broken {
            return error;
        }
    }
}

/// Writes what is queued until the connection ends; returns why it did.
pub(super) async fn write_frames(mut socket: Writer, shared: &Shared) -> Error {
    let mut chunks = VecDeque::new();
    loop {
        if let Err(error) = shared.take_queued(&mut chunks) {
            return error;
        }
        if chunks.is_empty() {
            shared.wait_for_queued().await;
            continue;
        }
        if let Err(error) = write_all(&mut socket, &mut chunks).await {
            return Error::Disconnected(error.to_string().into());
        }
    }
}

async fn write_all(socket: &mut Writer, chunks: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !chunks.is_empty() {
        let written = socket.write(chunks).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        drop_written(chunks, written);
    }
    Ok(())
}
