//! Bodies of requests that were answered before they were read. A client that goes on with a connection
//! whose body nobody took would lose its next request: so a small body is read and thrown away, and of
//! what is larger the answer says that the connection ends (RFC 9112, section 9.6).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, Version};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use parking_lot::Mutex;

/// Bytes of a body that are read and thrown away after its request was refused.
const UNREAD_BYTES_MAX: u64 = 64 << 10;
/// Time in which they have to come.
const UNREAD_TIME: Duration = Duration::from_secs(2);

/// What is left of a request's body when everybody is done with it.
pub(crate) struct Left<B> {
    body: Arc<Mutex<Option<B>>>,
    /// The client waits until it is told to send its body.
    expects: bool,
}

/// A body that is put back where its reader leaves it.
struct Lent<B> {
    body: Option<B>,
    back: Arc<Mutex<Option<B>>>,
}

/// The request with a body that can be read on after its answer was made; nothing to read on without a body,
/// or where the connection has many streams.
pub(crate) fn lend<B>(request: Request<B>) -> (Request<Body>, Option<Left<B>>)
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
        return (request.map(Body::new), None);
    }
    let back = Arc::new(Mutex::new(None));
    let left = Left {
        body: back.clone(),
        expects: request.headers().contains_key(EXPECT),
    };
    let lent = |body| {
        let body = Some(body);
        Body::new(Lent { body, back })
    };
    (request.map(lent), Some(left))
}

impl<B> Left<B>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    /// Reads what nobody read, or says that the connection ends with this answer.
    pub(crate) async fn clear(self, response: &mut Response<Body>) {
        let Some(body) = self.body.lock().take() else {
            return;
        };
        let small = body.size_hint().lower() <= UNREAD_BYTES_MAX;
        if small && !self.expects && drained(body).await {
            return;
        }
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
}

/// Whether a body came to its end, and was small.
async fn drained<B: http_body::Body<Data = Bytes> + Unpin>(mut body: B) -> bool {
    let read = async {
        let mut left = UNREAD_BYTES_MAX;
        while let Some(frame) = body.frame().await {
            let size = frame.map(|f| f.data_ref().map_or(0, |d| d.len() as u64));
            match size.ok().and_then(|size| left.checked_sub(size)) {
                Some(less) => left = less,
                None => return false,
            }
        }
        true
    };
    (tokio::time::timeout(UNREAD_TIME, read).await).unwrap_or(false)
}

impl<B> http_body::Body for Lent<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        };
        if matches!(frame, Poll::Ready(None)) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        (self.body.as_ref()).is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let known = self.body.as_ref().map(http_body::Body::size_hint);
        known.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl<B> Drop for Lent<B> {
    fn drop(&mut self) {
        *self.back.lock() = self.body.take();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use http_body::Body as _;

    use super::*;

    /// A body that comes in pieces, each only when it is asked for.
    struct Pieces(VecDeque<usize>, Option<u64>, Arc<Mutex<usize>>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let piece = self.0.pop_front();
            *self.2.lock() = self.0.len();
            Poll::Ready(piece.map(|size| Ok(Frame::data(Bytes::from(vec![b'x'; size])))))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            self.1.map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }

    /// What is left of the pieces, and whether the answer says that the connection ends.
    fn refused(piece: usize, size: Option<u64>, expects: bool, read: usize) -> (usize, bool) {
        let left = Arc::new(Mutex::new(3));
        let pieces = VecDeque::from([piece; 3]);
        let mut request = Request::new(Pieces(pieces, size, left.clone()));
        if expects {
            let value = HeaderValue::from_static("100-continue");
            request.headers_mut().insert(EXPECT, value);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (request, rest) = lend(request);
            let mut body = request.into_body();
            for _ in 0..read {
                body.frame().await.unwrap().unwrap();
            }
            drop(body);
            let mut response = Response::new(Body::empty());
            rest.unwrap().clear(&mut response).await;
            assert!(response.body().is_end_stream());
            let closes = response.headers().contains_key(CONNECTION);
            (*left.lock(), closes)
        })
    }

    #[test]
    fn a_small_body_that_nobody_read_is_read_and_what_is_not_ends_the_connection() {
        for read in 0..4 {
            assert_eq!(refused(1, Some(3), false, read), (0, false));
            assert_eq!(refused(1, None, false, read), (0, false));
        }
        let max = usize::try_from(UNREAD_BYTES_MAX).unwrap();
        assert_eq!(
            refused(max / 3, Some(UNREAD_BYTES_MAX), false, 0),
            (0, false)
        );
        // Nothing of what is said to be large is waited for; of unknown size it is read as far as it is small.
        assert_eq!(refused(1, Some(UNREAD_BYTES_MAX + 1), false, 0), (3, true));
        assert_eq!(refused(max, None, false, 0), (1, true));
        // Who asks before sending is not told to send for nothing.
        assert_eq!(refused(1, Some(3), true, 0), (3, true));
    }
}
