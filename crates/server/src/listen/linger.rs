//! Closing without taking an answer away: a client that is still sending a body which nobody wants
//! would lose the answer if its bytes met a closed socket. So the last thing done with a
//! connection is to read on for a moment and throw away what comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Bytes that are thrown away before the client has to notice.
const BYTES_MAX: usize = 64 << 20;
/// Bytes that are thrown away at once.
const BUFFER: usize = 16 << 10;

/// A connection that lingers when it is shut down.
pub(super) struct Lingering<S> {
    inner: S,
    /// Until when, and how many bytes are still read; none before the end.
    draining: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Lingering<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self {
            inner,
            draining: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.draining.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
        }
        let (until, left) = this
            .draining
            .get_or_insert_with(|| (Box::pin(sleep(super::FAREWELL)), BYTES_MAX));
        let mut buffer = [0; BUFFER];
        while until.as_mut().poll(context).is_pending() {
            let mut read = ReadBuf::new(&mut buffer);
            match ready!(Pin::new(&mut this.inner).poll_read(context, &mut read)) {
                Ok(()) if !read.filled().is_empty() && *left > 0 => {
                    *left = left.saturating_sub(read.filled().len());
                }
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
