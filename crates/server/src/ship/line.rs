//! A line to a syslog receiver.
//!
//! Syslog has no receipts. What there is: a line is ended from this side, in TLS with its own word for
//! it, and the receiver, who reads in order, ends it in turn once it has read that word (RFC 5425, section
//! 4.4) and with it everything before. A receiver that went away without reading answers with a reset.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use engine::{Carrier, Carrying, SyslogTarget};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// A reset that follows the end of a line comes within this.
const RESET: Duration = Duration::from_millis(150);

trait Line: AsyncRead + AsyncWrite + Send + Unpin {
    /// What went wrong with the connection, if something did.
    fn error(&self) -> io::Result<Option<io::Error>>;
}

impl Line for TcpStream {
    fn error(&self) -> io::Result<Option<io::Error>> {
        self.take_error()
    }
}

impl Line for TlsStream<TcpStream> {
    fn error(&self) -> io::Result<Option<io::Error>> {
        self.get_ref().0.take_error()
    }
}

/// A syslog receiver.
pub(super) struct Syslog {
    target: SyslogTarget,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Whether the other side may end a line without TLS's own word for it.
    bare_end: bool,
    line: Mutex<Option<Box<dyn Line>>>,
}

impl Syslog {
    /// A receiver; with `tls`, TLS is spoken to it.
    ///
    /// # Errors
    /// A host that no certificate can name.
    pub(super) fn new(
        target: SyslogTarget,
        tls: Option<ClientConfig>,
        bare_end: bool,
    ) -> anyhow::Result<Self> {
        let tls = match tls {
            None => None,
            Some(config) => {
                let name = ServerName::try_from(target.host.clone())?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
        };
        Ok(Self {
            target,
            tls,
            bare_end,
            line: Mutex::new(None),
        })
    }

    async fn connect(&self) -> io::Result<Box<dyn Line>> {
        let address = (self.target.host.as_str(), self.target.port);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
        })
    }

    async fn hand_over(&self, messages: &[Vec<u8>]) -> io::Result<()> {
        let mut kept = self.line.lock().await;
        let mut line = match kept.take() {
            Some(line) => line,
            None => tokio::time::timeout(CONNECT, self.connect())
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??,
        };
        // Each with its length before it (RFC 5425, section 4.3; RFC 6587, section 3.4.1).
        let mut bytes = Vec::with_capacity(messages.iter().map(|m| m.len() + 8).sum());
        for message in messages {
            bytes.extend_from_slice(message.len().to_string().as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(message);
        }
        line.write_all(&bytes).await?;
        line.flush().await?;
        *kept = Some(line);
        Ok(())
    }

    async fn end(&self) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::ConnectionAborted, "the line was closed");
        let mut line = self.line.lock().await.take().ok_or_else(gone)?;
        line.shutdown().await?;
        let mut said = [0; 256];
        loop {
            match line.read(&mut said).await {
                Ok(0) => break,
                Ok(_) => {}
                // Anybody on the way can end a line like this.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => match self.bare_end {
                    true => break,
                    false => {
                        let text = "the receiver ends lines without close_notify: it may not have \
                                    read everything (audit.syslog_bare_end)";
                        return Err(io::Error::new(e.kind(), text));
                    }
                },
                Err(e) => return Err(e),
            }
        }
        // Who had gone before anything came to them ends the line too, and resets it when it comes.
        tokio::time::sleep(RESET).await;
        match line.error()? {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }
}

impl Carrier for Syslog {
    fn carry(&self, messages: Vec<Vec<u8>>) -> Carrying<'_> {
        Box::pin(async move { self.hand_over(&messages).await })
    }

    fn settle(&self) -> Carrying<'_> {
        Box::pin(self.end())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::ReadBuf;

    use super::*;

    /// A TLS line that is cut without the word for it.
    struct Cut;

    impl AsyncRead for Cut {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()))
        }
    }

    impl AsyncWrite for Cut {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Line for Cut {
        fn error(&self) -> io::Result<Option<io::Error>> {
            Ok(None)
        }
    }

    #[tokio::test]
    async fn a_line_that_is_cut_has_ended_well_only_where_that_is_said() {
        for bare_end in [false, true] {
            let target = SyslogTarget::parse("tls://a.example:6514").unwrap();
            let mut syslog = Syslog::new(target, None, bare_end).unwrap();
            syslog.line = Mutex::new(Some(Box::new(Cut)));
            syslog.carry(vec![b"x".to_vec()]).await.unwrap();
            assert_eq!(syslog.settle().await.is_ok(), bare_end);
        }
    }
}
